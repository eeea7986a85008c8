"""Held people over HTTP, for the desk."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.access import Action
from onym.flows import screening
from onym.queries import ground
from onym.queries import screening as queries
from onym.queries.people import Caller

router = Router(tags=["screening"])


class Outcome(Schema):
    model_config = ConfigDict(extra="forbid")
    outcome: Literal["cleared", "confirmed"]


@router.get("/desk/screening", auth=MEMBERS)
def cases(request: HttpRequest) -> HttpResponse:
    """Open cases first."""
    wire.staff(request, Action.SCREEN)
    found = queries.cases(ground.of(wire.place(request)))
    return wire.respond(200, {"items": found, "next": None})


@router.post("/desk/screening/{id}/decide", auth=MEMBERS)
def decide(request: HttpRequest, id: str, wish: Outcome) -> HttpResponse:
    """`cleared`: another person; `confirmed`: held for good."""

    def run(who: Caller) -> tuple[int, object]:
        row = screening.decide(case_id=id, by=who.id, outcome=wish.outcome)
        return 200, {"id": row.id, "state": row.state}

    return wire.write(request, "desk", run)
