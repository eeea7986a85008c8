"""Fixed-price listings."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.access import Action
from onym.core.term import Term
from onym.flows import appraisal, reclaim
from onym.flows import listing as flow
from onym.queries import desk, names
from onym.queries import listing as queries
from onym.queries import sale as sales
from onym.queries.people import Caller

router = Router(tags=["listings"])


class Page(Schema):
    state: Literal["open", "sold", "withdrawn", "closed"] = "open"
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


class NewListing(Schema):
    model_config = ConfigDict(extra="forbid")
    handle: str = Field(max_length=500)
    price: wire.Amount
    term: Term = Term.HANDLE


class Consent(Schema):
    """To what passes over with a whole account; a handle needs none."""

    model_config = ConfigDict(extra="forbid")
    consent: bool = False


@router.get("/listings", auth=None)
def listings(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """Listings, the latest first."""
    found = queries.listings(
        wire.place(request), state=asked.state, after=wire.after(asked.cursor), limit=asked.limit
    )
    return wire.respond(200, wire.page(found))


@router.get("/listings/{id}", auth=None)
def listing(request: HttpRequest, id: str) -> HttpResponse:  # noqa: ARG001 - ninja's form
    """One listing."""
    return wire.respond(200, queries.listing(id))


@router.post("/listings", auth=MEMBERS)
def open_listing(request: HttpRequest, wish: NewListing) -> HttpResponse:
    """A member lists the own handle; the desk lists a released one (202: a second person)."""
    if wire.is_desk(request):
        who = wire.staff(request, Action.LIST, binds=True)
        reclaim.prepare_sale(namespace=wire.place(request), handle=wish.handle)
    else:
        who = wire.caller(request, "sell")

    def run(_: object) -> tuple[int, object]:
        price = wish.price.money()
        place = wire.place(request)
        if not who.is_staff:
            row = flow.open_(
                namespace=place, handle=wish.handle, seller=who.id, price=price, term=wish.term
            )
            return 201, queries.view(row)
        shown = appraisal.Shown(**names.beside_price(place, wish.handle))
        made = flow.open_house(
            namespace=place,
            handle=wish.handle,
            by=who.id,
            price=price,
            shown=shown,
            term=wish.term,
        )
        return desk.outcome(made)

    return wire.write(request, "desk" if who.is_staff else "sell", run, binds=True)


@router.post("/listings/{id}/buy", auth=MEMBERS, openapi_extra=wire.may_send(Consent))
def buy(request: HttpRequest, id: str) -> HttpResponse:
    """Take it at its price: 201 with the sale. A whole account needs `{"consent": true}`."""

    def run(who: Caller) -> tuple[int, object]:
        consents = wire.sent(request, Consent).consent
        return 201, sales.view(flow.buy(listing_id=id, buyer=who.id, consents=consents))

    return wire.write(request, "buy", run)


@router.delete("/listings/{id}", auth=MEMBERS)
def withdraw(request: HttpRequest, id: str) -> HttpResponse:
    """Take it back."""
    scope = "desk" if wire.is_desk(request) else "sell"
    return wire.write(
        request,
        scope,
        lambda who: (200, queries.view(flow.withdraw(listing_id=id, by=who.id))),
    )
