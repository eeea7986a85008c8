"""The overview: what the market earned, what it sold, and how long appeals have waited."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from onym.desk.page import shown, staff
from onym.queries import ground, reconcile
from onym.queries import overview as queries


def overview(request: HttpRequest) -> HttpResponse:
    """Twelve weeks in charts, each with its table."""
    staff(request)
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
    }
    return shown(request, "desk/overview.html", told)
