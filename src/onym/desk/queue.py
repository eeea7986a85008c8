"""The queue: one list of what waits for a person, decided where it stands."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import Action
from onym.desk.page import Fields, address, answered, may, shown, staff
from onym.flows import appeal, disclosure, dispute, payments, payout, reclaim
from onym.flows import desk as flow
from onym.queries import ground, people
from onym.queries import queue as queries
from onym.queries.people import Caller


def queue(request: HttpRequest) -> HttpResponse:
    """Everything that waits for a person, the oldest first; what was just done stands above."""
    who = staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    kind, about = request.GET.get("kind", ""), request.GET.get("about", "")[:60]
    cases = queries.cases(
        ground.under(request),
        kind=kind if kind in queries.KINDS else "",
        with_text=Action.DECIDE_APPEAL in may(who),
        also=about if about.startswith("apr_") else "",
    )
    disclosure.record(
        namespace=settings.NAMESPACE,
        member=who.id,
        what="appeal",
        about=[case["id"] for case in cases if case.get("text")],
        now=ground.under(request).now,
    )
    told = {
        "kind": kind,
        "kinds": queries.KINDS,
        "cases": [case for case in cases if case["kind"] != "done"],
        "done": next((case for case in cases if case["id"] == about), None),
        "about": about,
    }
    return shown(request, "desk/queue.html", told, refusal=refusal)


def _do(fields: Fields, who: Caller) -> str:
    place, about, did = settings.NAMESPACE, fields.get("about", ""), fields.get("do", "")
    match did:
        case "approve":
            people.expect_fresh_factor(who)
            flow.approve(approval_id=about, by=who.id, shown=fields.get("shown", ""))
        case "withdraw":
            flow.withdraw(approval_id=about, by=who.id)
        case "upheld" | "rejected":
            why = fields.get("reasons", "").split()
            appeal.decide(appeal_id=about, by=who.id, outcome=did, reasons=why)
        case "confirm":
            reclaim.confirm(namespace=place, handle=about, by=who.id)
        case "retry":
            payout.retry(payout_id=about, by=who.id)
        case "refund":
            payments.refund_again(payment_id=about, by=who.id)
        case "settle" | "return":
            dispute.decide(sale_id=about, by=who.id, outcome=did)
        case _:
            return address("")
    return address("", kind=fields.get("kind", ""), did=did, about=about)
