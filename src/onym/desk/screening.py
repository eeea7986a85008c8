"""People held because their name is like a listed one: the same person, or another?"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import Action
from onym.desk.page import Fields, address, answered, expect, shown, staff
from onym.flows import disclosure
from onym.flows import screening as flow
from onym.queries import ground
from onym.queries import screening as queries
from onym.queries.people import Caller


def screening(request: HttpRequest) -> HttpResponse:
    """Open cases first; who looks is recorded."""
    who = staff(request)
    expect(who, Action.SCREEN)
    done, refusal = answered(request, _do)
    if done:
        return done
    looked = ground.under(request)
    cases = queries.cases(looked)
    disclosure.record(
        namespace=settings.NAMESPACE,
        member=who.id,
        what="screening",
        about=[case["id"] for case in cases],
        now=looked.now,
    )
    return shown(request, "desk/screening.html", {"cases": cases}, refusal=refusal)


def _do(fields: Fields, who: Caller) -> str:
    flow.decide(case_id=fields.get("about", ""), by=who.id, outcome=fields.get("do", ""))
    return address("screening", did="screened")
