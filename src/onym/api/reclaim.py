"""Could it be freed? And: appeals."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.flows import appeal, limits
from onym.queries import reclaim as queries
from onym.queries.people import Caller

router = Router(tags=["reclaim"])


class NewAppeal(Schema):
    model_config = ConfigDict(extra="forbid")
    handle: str = Field(max_length=500)
    text: str = Field(min_length=1, max_length=10_000)


@router.get("/handles/{handle}/reclaim", auth=None)
def reclaim(request: HttpRequest, handle: str, policy: str = "") -> HttpResponse:
    """Reason codes and the earliest date, under the namespace's policy or a named one."""
    limits.spend("reclaim", who=limits.where(request))
    found = queries.answer(namespace=wire.place(request), handle=handle, policy_id=policy or None)
    return wire.respond(200, found)


@router.post("/appeals", auth=MEMBERS)
def appeals(request: HttpRequest, wish: NewAppeal) -> HttpResponse:
    """The holder objects: no release and no sale until a second reviewer has decided."""

    def run(who: Caller) -> tuple[int, object]:
        place = wire.place(request)
        row = appeal.open_(namespace=place, handle=wish.handle, by=who.id, text=wish.text)
        return 201, {"id": row.id, "handle": wish.handle, "state": row.state}

    return wire.write(request, "read", run)
