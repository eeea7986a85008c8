"""Campaigns: all of them, and one with its button to send and what became of its invitations."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.core.errors import NotFound, Refusal
from onym.desk.page import Fields, may, once, staff
from onym.flows import form
from onym.flows import invitation as flow
from onym.queries import invitation as queries
from onym.queries.people import Caller


def campaigns(request: HttpRequest) -> HttpResponse:
    """The latest first."""
    staff(request)
    return render(
        request, "desk/campaigns.html", {"campaigns": queries.campaigns(settings.NAMESPACE)}
    )


def campaign(request: HttpRequest, id: str) -> HttpResponse:
    """Results without names; the send button waits for nobody, the mails for the log."""
    who, refusal = staff(request), None
    if request.method == "POST":
        try:
            return once(request, lambda fields, by: _do(fields, id, by))
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = {"campaign": queries.campaign(id), "may": may(who), "refusal": refusal}
    status = refusal.status if refusal else 200
    return render(request, "desk/campaign.html", told, status=status)


def _do(fields: Fields, id_: str, who: Caller) -> str:
    if fields.get("do") == "send":
        flow.send(campaign_id=id_, by=who.id)
    return f"/desk/campaigns/{id_}"
