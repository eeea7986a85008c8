"""How the sweeps in use get on: how many findings stand where, and when stages begin."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.desk.page import staff
from onym.queries import ground
from onym.queries import plan as queries


def plans(request: HttpRequest) -> HttpResponse:
    """The newest plan, or the one that is asked for, as a table of counts."""
    staff(request)
    found = queries.overview(namespace=ground.under(request), chosen=request.GET.get("plan", ""))
    return render(request, "desk/plans.html", {"plans": found})
