"""The queue: what waits for a second person, appeals, unreached holders, and the switches."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.core.access import Action, Phase
from onym.core.errors import Refusal
from onym.desk.page import Fields, may, once, place_of, staff
from onym.flows import appeal, form, reclaim, stop
from onym.flows import desk as flow
from onym.queries import desk as queries
from onym.queries import people
from onym.queries import reclaim as reclaims
from onym.queries.people import Caller


def queue(request: HttpRequest) -> HttpResponse:
    """Everything that waits for a person, the oldest first."""
    who, refusal = staff(request), None
    if request.method == "POST":
        try:
            return once(request, _do)
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    place, allowed = settings.NAMESPACE, may(who)
    told = {
        "may": allowed,
        "approvals": queries.approvals(place),
        "appeals": queries.appeals(place, with_text=Action.DECIDE_APPEAL in allowed),
        "unreached": reclaims.without_channel(namespace=place),
        "phases": [phase.value for phase in Phase],
        "typed": form.typed(request),
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "desk/queue.html", told, status=status)


def _do(fields: Fields, who: Caller) -> str:
    place, about = settings.NAMESPACE, fields.get("about", "")
    match fields.get("do", ""):
        case "approve":
            people.expect_fresh_factor(who)
            shown = fields.get("shown", "")
            return place_of(flow.approve(approval_id=about, by=who.id, shown=shown))
        case "stop":
            stop.set_stop(namespace=place, on=True, by=who.id)
        case "lift":
            stop.set_stop(namespace=place, on=False, by=who.id)
        case "phase":
            flow.set_phase(namespace=place, phase=fields.get("phase", ""), by=who.id)
        case "upheld" | "rejected" as outcome:
            why = fields.get("reasons", "").split()
            appeal.decide(appeal_id=about, by=who.id, outcome=outcome, reasons=why)
        case "confirm":
            reclaim.confirm(namespace=place, handle=about, by=who.id)
    return "/desk/"
