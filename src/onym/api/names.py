"""Handles: one, and many."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.queries import fees, look
from onym.queries import search as queries

router = Router(tags=["handles"])


class Search(Schema):
    """What to look for; prefix and exact without facets cover every account of the platform."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field("", max_length=100, pattern=r"^[^\x00]*$")
    match: Literal["prefix", "exact", "fuzzy"] = "prefix"
    tier: Literal["", "standard", "priority", "rare"] = ""
    min_length: int = Field(0, ge=0, le=100)
    max_length: int = Field(0, ge=0, le=100)
    sale: Literal[
        "", "any", "listing", "sale", "invitation", "offer", "english", "sealed", "falling", "drop"
    ] = ""
    max_price_minor: int = Field(0, ge=0, le=10**15)
    sort: Literal["", "handle", "price", "-price", "length", "listed"] = ""
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


class Quote(Schema):
    """A price in minor units; 0: that of the listing."""

    model_config = ConfigDict(extra="forbid")
    price_minor: int = Field(0, ge=0, le=10**15)


@router.get("/handles", auth=None)
def search(request: HttpRequest, asked: Query[Search]) -> HttpResponse:
    """Handles that match, in order; `covers` says whether untouched handles were looked at."""
    wish = queries.Wish(**asked.dict(exclude={"cursor", "limit"}))
    found = queries.search(
        wire.place(request), wish, after=wire.after(asked.cursor), limit=asked.limit
    )
    return wire.respond(200, wire.page(found))


@router.get("/handles/{handle}", auth=None)
def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """State, holder, tier, appraisal, sale and tenures; any spelling of the handle will do."""
    return wire.respond(200, look.handle(wire.place(request), handle))


@router.get("/handles/{handle}/quote", auth=MEMBERS)
def quote(request: HttpRequest, handle: str, asked: Query[Quote]) -> HttpResponse:
    """What buying it would cost, part by part; at the price named, else at its listing's."""
    who = wire.caller(request, "read")
    place, minor = wire.place(request), asked.price_minor
    return wire.respond(200, fees.quote(place, handle, price_minor=minor, buyer=who.id))
