"""Offers on any held handle."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.term import Term
from onym.flows import offer as flow
from onym.queries import offer as queries
from onym.queries import sale as sales
from onym.queries.people import Caller

router = Router(tags=["offers"])


class Price(Schema):
    model_config = ConfigDict(extra="forbid")
    price: wire.Amount


class NewOffer(Price):
    """`consent` is to what passes over with a whole account; a handle needs none."""

    term: Term = Term.HANDLE
    consent: bool = False


class Minimum(Schema):
    model_config = ConfigDict(extra="forbid")
    price: wire.Amount | None


class Page(Schema):
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


@router.post("/handles/{handle}/offers", auth=MEMBERS)
def make(request: HttpRequest, handle: str, wish: NewOffer) -> HttpResponse:
    """Offer a price; the holder is asked by mail or on the platform."""
    return wire.write(
        request,
        "buy",
        lambda who: (
            201,
            queries.view(
                flow.make(
                    namespace=wire.place(request),
                    handle=handle,
                    buyer=who.id,
                    price=wish.price.money(),
                    term=wish.term,
                    consents=wish.consent,
                )
            ),
        ),
    )


@router.put("/handles/{handle}/minimum-offer", auth=MEMBERS)
def minimum(request: HttpRequest, handle: str, wish: Minimum) -> HttpResponse:
    """The holder's minimum offer; null takes it away."""
    least = wish.price.money() if wish.price else None

    def run(who: Caller) -> tuple[int, object]:
        place = wire.place(request)
        flow.set_minimum(namespace=place, handle=handle, by=who.id, minimum=least)
        return 200, {"handle": handle, "minimum_offer": least}

    return wire.write(request, "sell", run)


@router.get("/offers", auth=MEMBERS)
def offers(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """What the member has offered and been offered."""
    who = wire.caller(request, "read")
    found = queries.offers(
        wire.place(request), viewer=who.id, after=wire.after(asked.cursor), limit=asked.limit
    )
    return wire.respond(200, wire.page(found))


@router.get("/offers/{id}", auth=MEMBERS)
def offer(request: HttpRequest, id: str) -> HttpResponse:
    """One offer with its moves."""
    who = wire.caller(request, "read")
    return wire.respond(200, queries.offer(id, viewer=who.id))


@router.post("/offers/{id}/accept", auth=MEMBERS)
def accept(request: HttpRequest, id: str) -> HttpResponse:
    """Agree to the price on the table: 201 with the sale."""
    scope = _scope(request, id)
    return wire.write(
        request,
        scope,
        lambda who: (201, sales.view(flow.accept(offer_id=id, by=who.id))),
        binds=True,
    )


@router.post("/offers/{id}/counter", auth=MEMBERS)
def counter(request: HttpRequest, id: str, wish: Price) -> HttpResponse:
    """A new price by the one whose turn it is."""
    scope = _scope(request, id)
    return wire.write(
        request,
        scope,
        lambda who: (
            200,
            queries.view(flow.counter(offer_id=id, by=who.id, price=wish.price.money())),
        ),
        binds=scope == "sell",
    )


@router.post("/offers/{id}/decline", auth=MEMBERS)
def decline(request: HttpRequest, id: str) -> HttpResponse:
    """No."""
    return wire.write(
        request,
        _scope(request, id),
        lambda who: (200, queries.view(flow.decline(offer_id=id, by=who.id))),
    )


@router.delete("/offers/{id}", auth=MEMBERS)
def withdraw(request: HttpRequest, id: str) -> HttpResponse:
    """The buyer takes it back."""
    return wire.write(
        request,
        "buy",
        lambda who: (200, queries.view(flow.withdraw(offer_id=id, by=who.id))),
    )


def _scope(request: HttpRequest, offer_id: str) -> str:
    """The asked side sells, the asking one buys."""
    who = wire.caller(request, "read")
    return "buy" if queries.offer(offer_id, viewer=who.id)["buyer"] == who.id else "sell"
