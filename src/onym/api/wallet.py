"""The optional wallet over HTTP: what is in it, deposits, payouts, where proceeds go."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import ledger, wire
from onym.api.auth import MEMBERS
from onym.core.checkout import METHOD as CHECKOUT
from onym.core.errors import PaymentDeclined
from onym.flows import deposit as deposits_
from onym.flows import record
from onym.flows import wallet as flow
from onym.queries import bank, ground
from onym.queries import wallet as queries
from onym.queries.people import Caller

router = Router(tags=["wallet"])

NO = ("declined", "cancelled")
MOST_LINES = 100_000
"""In one file for a spreadsheet."""


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class Page(Schema):
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


class Deposit(Strict):
    amount: wire.Amount
    payment_method: str = Field(min_length=1, max_length=60)


class Payout(Strict):
    amount: wire.Amount


class Proceeds(Strict):
    to: Literal["wallet", "account"]


@router.get("/wallet", auth=MEMBERS)
def wallet(request: HttpRequest, asked: Query[Page], format: str = "json") -> HttpResponse:
    """Balances and what moved, the latest first; `format=csv` for a spreadsheet: all of it."""
    who = _mine(request)
    if format == "csv":
        found = queries.history(who.id, after="", limit=MOST_LINES)["items"]
        return ledger.as_csv([line | {"account": "available"} for line in found])
    lines = queries.history(who.id, after=wire.after(asked.cursor), limit=asked.limit)
    takes: bool = queries.places(who.id)["takes"]
    balances = queries.balances(ground.of(wire.place(request)), who.id, takes=takes)
    return wire.respond(200, balances | wire.page(lines))


def _mine(request: HttpRequest) -> Caller:
    who = wire.caller(request, "read")
    flow.expect_there(namespace=wire.place(request), member=who.id)
    return who


@router.get("/wallet/deposits", auth=MEMBERS)
def deposits(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """The member's deposits, the latest first."""
    who = _mine(request)
    found = queries.deposits(who.id, after=wire.after(asked.cursor), limit=asked.limit)
    return wire.respond(200, wire.page(found))


@router.get("/wallet/deposits/{id}", auth=MEMBERS)
def deposit(request: HttpRequest, id: str) -> HttpResponse:
    """One of them."""
    return wire.respond(200, queries.deposit(id, member=wire.caller(request, "read").id))


@router.post("/wallet/deposits", auth=MEMBERS)
def put_in(request: HttpRequest, wish: Deposit) -> HttpResponse:
    """201 with the deposit once it is paid, 202 while the provider has not answered or the bank
    wants to ask (`action_url`), 402 if it says no. With the `payment_method` `checkout` a card is
    entered on the provider's own page: 202 with its `url`, open until `expires_at`.
    """
    who = wire.caller(request, "buy")
    name = {"member": who.id, "route": wire.route(request), "key": wire.key(request)}

    def run() -> record.Answer:
        row = deposits_.begin(member=who.id, amount=wish.amount.money(), method=wish.payment_method)
        return record.Answer(202, {"deposit": row.id})

    answer = record.once(**name, payload=wire.payload(request), run=run)
    if "deposit" not in answer.body:
        return wire.respond(answer.status, answer.body)
    state, reason = wire.wait(lambda: queries.charged(answer.body["deposit"]))
    if state in NO:
        raise PaymentDeclined("the provider declined the payment", reason=reason)
    shape = queries.opened if wish.payment_method == CHECKOUT else queries.deposit
    body = wire.plain(shape(answer.body["deposit"], member=who.id))
    status = 201 if state == "paid" else 202
    if status == 201:
        record.answer(**name, answer=record.Answer(201, body))
    return wire.respond(status, body)


@router.post("/wallet/deposits/{id}/give-up", auth=MEMBERS)
def give_up(request: HttpRequest, id: str) -> HttpResponse:
    """A deposit that waits for its member's word at the bank is given up: 202."""
    return wire.write(
        request,
        "buy",
        lambda who: (202, queries.deposit_view(deposits_.give_up(deposit_id=id, by=who.id))),
    )


@router.post("/wallet/transfer", auth=MEMBERS)
def transfer(request: HttpRequest) -> HttpResponse:
    """What to write on a bank transfer into the wallet: the same whenever it is asked for. What
    comes under this `reference` is put in when the bank's statement says so.
    """

    def run(who: Caller) -> tuple[int, object]:
        deposits_.by_transfer(member=who.id)
        return 200, bank.into_wallet(who.id)

    return wire.write(request, "buy", run)


@router.get("/wallet/payouts", auth=MEMBERS)
def payouts(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """What left, or is to leave, the member's wallet, the latest first."""
    who = _mine(request)
    found = queries.payouts(who.id, after=wire.after(asked.cursor), limit=asked.limit)
    return wire.respond(200, wire.page(found))


@router.get("/wallet/payouts/{id}", auth=MEMBERS)
def payout(request: HttpRequest, id: str) -> HttpResponse:
    """One of them."""
    return wire.respond(200, queries.payout(id, member=wire.caller(request, "read").id))


@router.post("/wallet/payouts", auth=MEMBERS)
def take_out(request: HttpRequest, wish: Payout) -> HttpResponse:
    """201: the amount is held, and leaves for the member's own account at `due_at`."""
    return wire.write(
        request,
        "sell",
        lambda who: (
            201,
            queries.payout_view(flow.pay_out(member=who.id, amount=wish.amount.money())),
        ),
        binds=True,
    )


@router.delete("/wallet/payouts/{id}", auth=MEMBERS)
def stop(request: HttpRequest, id: str) -> HttpResponse:
    """Stop one that has not left: what was held may be used again."""
    return wire.write(
        request,
        "sell",
        lambda who: (200, queries.payout_view(flow.stop(payout_id=id, by=who.id))),
    )


@router.post("/wallet/proceeds", auth=MEMBERS)
def proceeds(request: HttpRequest, wish: Proceeds) -> HttpResponse:
    """Where the proceeds of sales go from now on: the wallet, or the member's own account."""

    def run(who: Caller) -> tuple[int, object]:
        row = flow.choose(member=who.id, takes_proceeds=wish.to == "wallet")
        return 200, {"to": "wallet" if row.takes_proceeds else "account"}

    return wire.write(request, "sell", run, binds=True)
