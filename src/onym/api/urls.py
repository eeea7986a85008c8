"""/api/v1 for the default namespace, /api/v1/namespaces/{ns} for any; and the site root's own."""

from __future__ import annotations

from django.urls import path

from onym.api import root
from onym.api.app import ROUTERS, api

for router in ROUTERS:
    api.add_router("/namespaces/{ns}", router, url_name_prefix="ns-")
    api.add_router("", router, url_name_prefix="default-")

urlpatterns = [
    path("api/v1/", api.urls),
    path("log/<path:path>", root.log_file, name="log-file"),
    path("hooks/payments/<str:provider>", root.payments_hook, name="payments-hook"),
    path("mail/inbound", root.inbound, name="inbound"),
    path("demo/clock", root.demo_clock, name="demo-clock"),
]
