"""Campaigns: all of them with what became of them, and one from its candidates to its results."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import PHASES, Action, Phase, Way
from onym.desk.page import Fields, address, answered, expect, shown, staff
from onym.flows import disclosure
from onym.flows import invitation as flow
from onym.queries import ground
from onym.queries import invitation as queries
from onym.queries.people import Caller

RESULTS = ("accepted", "sent", "declined", "expired", "closed", "committed")
OFFERED_AGAIN = ("sent", "expired", "closed", "committed")


def campaigns(request: HttpRequest) -> HttpResponse:
    """The latest first, each with its results."""
    staff(request)
    found = queries.campaigns(settings.NAMESPACE)
    return shown(request, "desk/campaigns.html", {"campaigns": found})


def campaign(request: HttpRequest, id: str) -> HttpResponse:
    """Results by position; names for who may send campaigns and asks, which is written down."""
    who = staff(request)
    if request.POST.get("do") in ("reveal", "again"):
        return _opened(request, id, who)
    done, refusal = answered(request, lambda fields, by: _do(fields, id, by))
    if done:
        return done
    return shown(request, "desk/campaign.html", _told(request, id), refusal=refusal)


def _opened(request: HttpRequest, id_: str, who: Caller) -> HttpResponse:
    """The page with who the candidates are, or a new campaign for those who did not say no."""
    expect(who, Action.CAMPAIGN)
    found = queries.campaign(id_, namespace=settings.NAMESPACE)
    disclosure.record(
        namespace=settings.NAMESPACE,
        member=who.id,
        what="recipients",
        about=[found["id"]],
        now=ground.under(request).now,
    )
    if request.POST["do"] == "reveal":
        return shown(request, "desk/campaign.html", _told(request, id_, with_names=True))
    rows = queries.recipients(id_, with_names=True)
    lines = [
        f"{row['mail']}, {row['name']}, {row['language']}"
        for row in rows
        if row["state"] in OFFERED_AGAIN
    ]
    typed = {"criteria": found["criteria"], "recipients": "\n".join(lines), "days": "14"}
    return shown(request, "desk/again.html", {"campaign": found, "typed": typed})


def _told(request: HttpRequest, id_: str, *, with_names: bool = False) -> dict[str, Any]:
    found = queries.campaign(id_, namespace=settings.NAMESPACE)
    phase = ground.under(request).place.phase
    counts = found["results"]
    return {
        "campaign": found,
        "leaf": queries.committed_leaf(id_),
        "recipients": queries.recipients(id_, with_names=with_names),
        "with_names": with_names,
        "results": [(name, counts[name]) for name in RESULTS if name in counts],
        "phase_allows": Way.INVITATION in PHASES[Phase(phase)],
    }


def _do(fields: Fields, id_: str, who: Caller) -> str:
    if fields.get("do") == "send":
        flow.send(campaign_id=id_, by=who.id)
    return address(f"campaigns/{id_}", did="sent")
