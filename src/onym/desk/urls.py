"""The desk's pages, under /{language}/desk/."""

from __future__ import annotations

from django.urls import re_path

from onym.desk import campaign, listing, plan, queue

DESK = r"^(?P<lang>en|fr|ar)/desk/"

urlpatterns = [
    re_path(DESK + r"$", queue.queue, name="desk"),
    re_path(DESK + r"stock$", listing.stock, name="desk-stock"),
    re_path(DESK + r"handles/(?P<handle>[^/]+)$", listing.handle, name="desk-handle"),
    re_path(DESK + r"campaigns$", campaign.campaigns, name="desk-campaigns"),
    re_path(DESK + r"campaigns/(?P<id>[^/]+)$", campaign.campaign, name="desk-campaign"),
    re_path(DESK + r"plans$", plan.plans, name="desk-plans"),
]
