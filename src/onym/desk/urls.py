"""The desk's pages, under /{language}/desk/."""

from __future__ import annotations

from django.urls import re_path

from onym.desk import (
    bank,
    calls,
    campaign,
    listing,
    overview,
    plan,
    queue,
    screening,
    stock,
    sweep,
    switches,
)

DESK = r"^(?P<lang>en|fr|ar)/desk/"

urlpatterns = [
    re_path(DESK + r"$", queue.queue, name="desk"),
    re_path(DESK + r"overview$", overview.overview, name="desk-overview"),
    re_path(DESK + r"sweeps$", sweep.sweeps, name="desk-sweeps"),
    re_path(DESK + r"sweeps/(?P<id>[^/]+)$", sweep.sweep, name="desk-sweep"),
    re_path(DESK + r"plans$", plan.plans, name="desk-plans"),
    re_path(DESK + r"stock$", stock.stock, name="desk-stock"),
    re_path(DESK + r"shortlist$", stock.shortlist, name="desk-shortlist"),
    re_path(DESK + r"handles/(?P<handle>[^/]+)$", listing.handle, name="desk-handle"),
    re_path(DESK + r"campaigns$", campaign.campaigns, name="desk-campaigns"),
    re_path(DESK + r"campaigns/(?P<id>[^/]+)$", campaign.campaign, name="desk-campaign"),
    re_path(DESK + r"bank$", bank.bank, name="desk-bank"),
    re_path(DESK + r"bank/(?P<id>[^/]+)\.xml$", bank.file, name="desk-bank-file"),
    re_path(DESK + r"screening$", screening.screening, name="desk-screening"),
    re_path(DESK + r"calls$", calls.calls, name="desk-calls"),
    re_path(DESK + r"switches$", switches.switches, name="desk-switches"),
]
