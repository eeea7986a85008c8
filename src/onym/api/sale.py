"""Sales: look, pay, accept, cancel, dispute, and the receipt that verifies offline."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.bank import METHOD
from onym.core.errors import PaymentDeclined
from onym.core.wallet import METHOD as WALLET
from onym.flows import bank, checkout, payments, record, transfer, wallet
from onym.flows import sale as flow
from onym.queries import bank as transfers
from onym.queries import checkout as pages
from onym.queries import log as logs
from onym.queries import sale as queries
from onym.queries.people import Caller

router = Router(tags=["sales"])

NO = ("declined", "cancelled")


class Page(Schema):
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


class Payment(Schema):
    model_config = ConfigDict(extra="forbid")
    payment_method: str = Field(min_length=1, max_length=60)


@router.get("/sales", auth=MEMBERS)
def sales(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """The member's own sales; all of them for staff."""
    who = wire.caller(request, "read")
    found = queries.sales(
        wire.place(request),
        viewer=who.id,
        is_staff=who.sees_all,
        after=wire.after(asked.cursor),
        limit=asked.limit,
    )
    return wire.respond(200, wire.page(found))


@router.get("/sales/{id}", auth=MEMBERS)
def sale(request: HttpRequest, id: str) -> HttpResponse:
    """One sale with its clocks."""
    who = wire.caller(request, "read")
    return wire.respond(200, queries.sale(id, viewer=who.id, staff_of=who.sees_all_of))


@router.get("/sales/{id}/receipt.tlog-proof", auth=None)
def receipt(request: HttpRequest, id: str) -> HttpResponse:  # noqa: ARG001 - ninja's form
    """The proof that the sale's last event is in the log (C2SP tlog-proof)."""
    return HttpResponse(logs.receipt(id), content_type="text/plain; charset=utf-8")


@router.post("/sales/{id}/pay", auth=MEMBERS)
def pay(request: HttpRequest, id: str, wish: Payment) -> HttpResponse:
    """200 with the sale once funded, 202 while the provider has not answered, 402 if it says no."""
    who = wire.caller(request, "buy")
    name = {"member": who.id, "route": wire.route(request), "key": wire.key(request)}
    if wish.payment_method == METHOD:
        return _by_transfer(request, id)
    if wish.payment_method == WALLET:
        return _from_wallet(request, id)
    answer = record.once(
        **name,
        payload=wire.payload(request),
        run=lambda: record.Answer(
            202,
            {"payment": payments.pay(sale_id=id, by=who.id, method=wish.payment_method).id},
        ),
    )
    if "payment" not in answer.body:
        return wire.respond(answer.status, answer.body)
    state, reason = wire.wait(lambda: queries.payment(answer.body["payment"]))
    if state in NO:
        raise PaymentDeclined("the provider declined the payment", reason=reason)
    status = 200 if state == "paid" else 202
    body = wire.plain(queries.sale(id, viewer=who.id))
    if status == 200:
        record.answer(**name, answer=record.Answer(200, body))
    return wire.respond(status, body)


@router.post("/sales/{id}/checkout", auth=MEMBERS)
def check_out(request: HttpRequest, id: str) -> HttpResponse:
    """Where the buyer enters a card: 200 with the `url` of the provider's own page, open until
    `expires_at`; 202 without it while the provider has not answered; 402 if it says no. Asked again
    under the same key once it is paid: 200 without it.
    """
    who = wire.caller(request, "buy")
    answer = record.once(
        member=who.id,
        route=wire.route(request),
        key=wire.key(request),
        payload=wire.payload(request),
        run=lambda: record.Answer(202, {"payment": checkout.begin(sale_id=id, by=who.id).id}),
    )
    payment = answer.body["payment"]
    state, reason = wire.wait(lambda: queries.payment(payment))
    if state in NO:
        raise PaymentDeclined("the provider declined the payment", reason=reason)
    page = pages.opened(payment)
    told = {"url": page.url or None, "expires_at": page.expires_at}
    return wire.respond(200 if page.url or state == "paid" else 202, told)


def _by_transfer(request: HttpRequest, id_: str) -> HttpResponse:
    """202: the sale, and what to write on the transfer; funding stays open until it arrives."""

    def run(member: Caller) -> tuple[int, object]:
        bank.begin(sale_id=id_, by=member.id)
        return 202, queries.sale(id_, viewer=member.id) | {
            "bank_transfer": transfers.instructions(id_)
        }

    return wire.write(request, "buy", run)


def _from_wallet(request: HttpRequest, id_: str) -> HttpResponse:
    """200 with the funded sale: nobody outside has to be asked."""

    def run(member: Caller) -> tuple[int, object]:
        wallet.pay(sale_id=id_, by=member.id)
        return 200, queries.sale(id_, viewer=member.id)

    return wire.write(request, "buy", run, binds=True)


@router.post("/sales/{id}/accept", auth=MEMBERS)
def accept(request: HttpRequest, id: str) -> HttpResponse:
    """The buyer ends the inspection early."""
    return wire.write(
        request, "buy", lambda who: (200, queries.view(flow.accept(sale_id=id, by=who.id)))
    )


@router.post("/sales/{id}/cancel", auth=MEMBERS)
def cancel(request: HttpRequest, id: str) -> HttpResponse:
    """A party ends it: before money, or while cooling off."""
    transfer.look_while_cooling(sale_id=id, by=wire.caller(request, "buy").id)
    return wire.write(
        request, "buy", lambda who: (200, queries.view(flow.cancel(sale_id=id, by=who.id)))
    )


@router.post("/sales/{id}/dispute", auth=MEMBERS)
def dispute(request: HttpRequest, id: str) -> HttpResponse:
    """The buyer objects within the inspection."""
    return wire.write(
        request, "buy", lambda who: (200, queries.view(flow.dispute(sale_id=id, by=who.id)))
    )
