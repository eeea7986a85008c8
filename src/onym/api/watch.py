"""Watches: be told when a handle, or what a saved search would find, is listed, sold or freed."""

from __future__ import annotations

from typing import Literal, Self

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field, model_validator

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.flows import watch as flow
from onym.queries import watch as queries
from onym.queries.people import Caller

router = Router(tags=["watches"])


class NewWatch(Schema):
    """A `handle`, or else a search by `prefix`, `tier` and `max_price`."""

    model_config = ConfigDict(extra="forbid")
    handle: str = Field("", max_length=500)
    prefix: str = Field("", max_length=100)
    tier: Literal["", "standard", "priority", "rare"] = ""
    max_price: wire.Amount | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        """Nothing is both, and nothing is neither."""
        if bool(self.handle) == bool(self.prefix or self.tier or self.max_price):
            raise ValueError("name a handle, or a prefix, a tier or a max_price")
        return self


class Page(Schema):
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


@router.post("/watches", auth=MEMBERS)
def watch(request: HttpRequest, wish: NewWatch) -> HttpResponse:
    """Begin to watch: 201 with the watch, also if there is such a one already."""
    place = wire.place(request)

    def run(who: Caller) -> tuple[int, object]:
        if wish.handle:
            return 201, queries.view(flow.handle(namespace=place, handle=wish.handle, by=who.id))
        most = wish.max_price.money() if wish.max_price else None
        row = flow.search(namespace=place, by=who.id, prefix=wish.prefix, tier=wish.tier, most=most)
        return 201, queries.view(row)

    return wire.write(request, "buy", run)


@router.get("/watches", auth=MEMBERS)
def watches(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """The member's own watches, the latest first."""
    who = wire.caller(request, "read")
    found = queries.watches(
        wire.place(request), member=who.id, after=wire.after(asked.cursor), limit=asked.limit
    )
    return wire.respond(200, wire.page(found))


@router.delete("/watches/{id}", auth=MEMBERS)
def end(request: HttpRequest, id: str) -> HttpResponse:
    """End it: 200 with what it was."""
    return wire.write(
        request, "buy", lambda who: (200, queries.view(flow.end(watch_id=id, by=who.id)))
    )
