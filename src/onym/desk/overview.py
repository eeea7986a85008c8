"""The overview: what the market earned, what it sold, and how long appeals have waited."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from onym.core.access import Action
from onym.desk.page import Fields, answered, expect, place_of, shown, staff
from onym.flows import recovery
from onym.queries import ground, people, reconcile
from onym.queries import overview as queries
from onym.queries.people import Caller


def overview(request: HttpRequest) -> HttpResponse:
    """Twelve weeks in charts, each with its table."""
    staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    looked = ground.under(request)
    weeks = queries.weeks(looked)
    told = {
        "weeks": weeks,
        "month": queries.total(weeks["revenue"], last=4),
        "quarter": queries.total(weeks["revenue"], last=12),
        "sold": sum(count for _, count in weeks["sold"][-4:]),
        "tiers": queries.tiers(looked),
        "appeals": queries.appeals(looked),
        "compared": reconcile.last(looked.place.id),
        "claims": queries.claims(looked),
        "losses": queries.losses(looked.id),
    }
    return shown(request, "desk/overview.html", told, refusal=refusal)


def _do(fields: Fields, who: Caller) -> str:
    """Propose to give a claim up; a second person decides in the queue."""
    expect(who, Action.BANK)
    people.expect_fresh_factor(who)
    return place_of(recovery.propose_write_off(chargeback_id=fields.get("about", ""), by=who.id))
