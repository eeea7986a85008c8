"""/api/v1 for the default namespace, /api/v1/namespaces/{ns} for any."""

from __future__ import annotations

from django.urls import path

from onym.api.app import ROUTERS, api

for router in ROUTERS:
    api.add_router("/namespaces/{ns}", router, url_name_prefix="ns-")
    api.add_router("", router)

urlpatterns = [path("api/v1/", api.urls)]
