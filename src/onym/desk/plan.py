"""How the sweeps in use get on: how many findings stand where, when stages begin, what is next."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from onym.desk.page import shown, staff
from onym.queries import ground
from onym.queries import plan as queries

ORDER = ("held", "warned", "resting", "released", "retired", "kept", "woke", "returned")


def plans(request: HttpRequest) -> HttpResponse:
    """Every plan; the newest, or the one that is asked for, with its progress."""
    staff(request)
    chosen = request.GET.get("plan", "")
    found = queries.overview(namespace=ground.under(request), chosen=chosen)
    for plan in found:
        if plan["progress"] is not None:
            plan["bars"] = _bars(plan["progress"])
    return shown(request, "desk/plans.html", {"plans": found})


def _bars(progress: dict[str, int]) -> list[tuple[str, int]]:
    """States in the order in which findings pass through them."""
    rank = {name: number for number, name in enumerate(ORDER)}
    return sorted(progress.items(), key=lambda one: rank.get(one[0], len(ORDER)))
