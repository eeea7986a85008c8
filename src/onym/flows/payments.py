"""Taking a sale's money and giving it back: order, answer, and what follows from it.

The provider is only ever asked by a job; what it said is recorded by a flow of its own.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from onym.core import access, chargeback, checkout, handle, ledger, wallet
from onym.core import sale as core
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, InProgress, Malformed, NotAllowed
from onym.core.money import Money
from onym.flows import area, invoice, record, remedy, screening, staff, transfer
from onym.flows import ledger as books
from onym.flows import sale as sale_flow
from onym.store import clock, rowlocks
from onym.store.models import Payment, Sale


def pay(*, sale_id: str, by: str, method: str) -> Payment:
    """Order one charge of the sale's gross at the provider.

    Refuses `area_stopped`, `not_allowed`, `already_closed`, `expired`, and `in_progress` while
    another runs.
    """
    if not method or len(method) > 60:
        raise Malformed("payment_method is missing")
    if method == checkout.METHOD:
        raise Malformed("a card is entered at the provider by POST /sales/{id}/checkout")
    expect_may_pay(sale_id=sale_id, by=by, method=method)
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        area.expect(Area.SALES, namespace=sale.namespace_id)
        if sale.payment_set.filter(kind="charge", state__in=sale_flow.OPEN_CHARGE).exists():
            raise InProgress("a payment of this sale is under way")
        core.pay(sale.snapshot(), by=by, now=now)
        payment = sale_flow.payment_row(sale, kind="charge", method=method, now=now)
        record.defer("sale.charge", lock=payment.id, payment_id=payment.id)
        return payment


def expect_may_pay(*, sale_id: str, by: str, method: str) -> None:
    """Before the sale is locked: the buyer's limits and the list, whose case must stay written."""
    sale = Sale.objects.select_related("buyer").filter(pk=sale_id, buyer_id=by).first()
    if sale is not None:
        screening.expect_may_pay(
            buyer=sale.buyer, price=sale.money("price"), gross=sale.money("gross"), method=method
        )


def record_charge(
    *,
    payment_id: str,
    state: core.PaymentState,
    provider: str,
    provider_id: str | None,
    reason: str = "",
    action_url: str = "",
    checkout_id: str = "",
) -> None:
    """What the provider said of a charge. A known outcome is never overwritten.

    `action_url` is where the buyer must go, to the bank or to the provider's page `checkout_id`;
    silence does not take it away.
    """
    with transaction.atomic():
        payment = rowlocks.payment(payment_id)
        now = clock.now()
        if payment.state not in sale_flow.ASKED or _is_silence(payment, state, reason):
            return
        payment.state, payment.reason, payment.answered_at = state, reason[:80], now
        payment.provider_id = provider_id or payment.provider_id
        payment.action_url = action_url
        payment.checkout_id = checkout_id or payment.checkout_id
        payment.save()
        sale = payment.sale
        if state is core.PaymentState.PAID:
            _funds_arrived(sale, payment=payment, provider=provider, now=now)
        elif state is core.PaymentState.UNKNOWN and sale.state == core.State.FUNDING:
            sale_flow.write(sale, core.move(sale.snapshot(), core.State.FUNDING_UNKNOWN))
        elif state is core.PaymentState.ACTION:
            _answered(sale)
        elif state is not core.PaymentState.UNKNOWN:
            _no_funds(sale, now=now)


def _is_silence(payment: Payment, state: core.PaymentState, reason: str) -> bool:
    """Whether the buyer still has to confirm, as far as anybody knows."""
    waits = payment.state == core.PaymentState.ACTION and state is core.PaymentState.UNKNOWN
    return waits and reason not in UNDER_WAY


UNDER_WAY = ("processing", "capturing")
"""The buyer has said yes, and the answer to it is not known."""


def look_again(*, sale_id: str, by: str) -> None:
    """The buyer comes back from the bank: ask what became of the payment. Else it does nothing."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        clock.now()
        if by != sale.buyer_id:
            raise NotAllowed("only the buyer pays")
        for payment in sale.payment_set.filter(kind="charge", state__in=sale_flow.ASKED):
            record.ask_soon("sale.charge", payment.id)


def pay_otherwise(*, sale_id: str, by: str) -> Sale:
    """Give up a payment that waits for its confirmation, so that another card may be used.

    Refuses `not_allowed`, and `already_closed` when none waits.
    """
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        clock.now()
        if by != sale.buyer_id:
            raise NotAllowed("only the buyer pays")
        waiting = sale.payment_set.filter(kind="charge", state=core.PaymentState.ACTION).first()
        if waiting is None:
            raise AlreadyClosed("no payment waits for a confirmation")
        record.defer("sale.give_up_charge", lock=end(waiting.id), payment_id=waiting.id)
        return sale


def _funds_arrived(sale: Sale, *, payment: Payment, provider: str, now: datetime) -> None:
    entry = ledger.funded(
        sale=sale.id,
        gross=sale.money("gross"),
        provider=provider,
        provider_id=payment.provider_id or payment.id,
    )
    books.book(entry, namespace=sale.namespace_id, at=now)
    funds_booked(sale, now=now)


def funds_booked(sale: Sale, *, now: datetime) -> None:
    """The gross lies in escrow, however it came: the sale goes on, or the money goes back."""
    if core.funds_arrive_late(sale.snapshot()):
        sale_flow.order_refund(sale, now=now)
        return
    held = handle.lock(sale.handle.snapshot(), sale=sale.id)
    sale.handle.locked_by = held.locked_by
    sale.handle.save(update_fields=["locked_by"])
    sale.funded_at = now
    sale_flow.write(sale, core.fund(sale.snapshot(), guidelines=sale_flow.pinned(sale), now=now))
    record.log(
        sale_flow.with_amount("SaleFunded", sale, "gross"), namespace=sale.namespace_id, at=now
    )
    invoice.issue(sale, now=now)
    if sale.state == core.State.DELIVERING:
        transfer.start(sale, row=sale.handle, to=sale.buyer_account_id, now=now)
    else:
        sale_flow.tell(sale, "trade_cooling", now=now)
        sale_flow.tell_before(sale, "trade_cooling", now=now)
        sale_flow.tell_account(sale, "trade_cooling", now=now)


def _answered(sale: Sale) -> None:
    """The provider has spoken: what the sale waits for is the buyer."""
    if sale.state == core.State.FUNDING_UNKNOWN:
        sale_flow.write(sale, core.move(sale.snapshot(), core.State.FUNDING))


def _no_funds(sale: Sale, *, now: datetime) -> None:
    _answered(sale)
    if sale.state == core.State.FUNDING and now >= sale.funding_until:
        sale_flow.close(sale, core.expire(sale.snapshot(), now=now), why="not_paid", now=now)


def funding_over(*, sale_id: str) -> None:
    """The time to pay is over. A charge under way must be known first: it is asked about."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        if sale.state not in WAITING or now < sale.funding_until:
            return
        if area.is_stopped(Area.SALES, namespace=sale.namespace_id):
            return  # the buyer could not pay: the deadline moves when the stop is lifted
        charge = sale.payment_set.filter(kind="charge", state__in=sale_flow.OPEN_CHARGE).first()
        if charge is None:
            decided = core.expire(sale.snapshot(), now=now)
            sale_flow.close(sale, decided, why="not_paid", now=now)
        else:
            record.hasten("sale.give_up_charge", lock=end(charge.id), payment_id=charge.id)


def end(payment: str) -> str:
    """The lock of whoever gives a payment up: it does not wait for the next time of asking."""
    return f"{payment}:end"


WAITING = (core.State.FUNDING, core.State.FUNDING_UNKNOWN)


def record_refund(
    *,
    payment_id: str,
    state: core.PaymentState,
    provider: str,
    provider_id: str | None,
    reason: str = "",
) -> None:
    """What the provider said of a refund; unknown stays to be asked again."""
    with transaction.atomic():
        payment = rowlocks.payment(payment_id)
        now = clock.now()
        if payment.state in (core.PaymentState.DONE, core.PaymentState.REFUSED):
            return
        payment.state, payment.reason, payment.answered_at = state, reason[:80], now
        payment.provider_id = provider_id or payment.provider_id
        payment.save()
        if state is core.PaymentState.DONE:
            _refunded(payment.sale, payment=payment, provider=provider, now=now)
        elif state is core.PaymentState.REFUSED:
            _kept(payment.sale, payment=payment)


def refund_late(*, payment_id: str) -> None:
    """A refund is not answered for long: the job that asks is ordered anew where none is left."""
    with transaction.atomic():
        payment = rowlocks.payment(payment_id)
        clock.now()
        task = "wallet.refund" if payment.method == wallet.METHOD else "sale.refund"
        is_open = payment.kind == "refund" and payment.state in sale_flow.ASKED
        if is_open and not record.ordered(task, locks=[payment.id]):
            record.defer(task, lock=payment.id, payment_id=payment.id)


def refund_again(*, payment_id: str, by: str) -> Sale:
    """Staff say that the cause of a refusal is gone: what is still the buyer's is ordered anew.

    Refuses `not_allowed`, `in_progress` while a bank is deciding, and `already_closed` for a refund
    that was not refused, or that another has followed.
    """
    with transaction.atomic():
        payment = rowlocks.payment(payment_id)
        now = clock.now()
        sale = payment.sale
        staff.expect(by, access.Action.DECIDE_CLAIM, namespace=sale.namespace_id)
        core.expect_thawed(sale.snapshot())
        followed = sale.payment_set.filter(kind="refund", id__gt=payment.id).exists()
        if payment.kind != "refund" or payment.state != core.PaymentState.REFUSED or followed:
            raise AlreadyClosed("no refund waits here to be ordered again", state=payment.state)
        if sale.state in chargeback.GIVING_BACK:
            sale_flow.order_refund(sale, now=now)
        return sale


def refund_left(*, payment_id: str, provider_id: str) -> None:
    """All of a refund has left by the bank, each part with its entry; the last as `provider_id`."""
    with transaction.atomic():
        payment = rowlocks.payment(payment_id)
        now = clock.now()
        payment.state, payment.answered_at = core.PaymentState.DONE, now
        payment.provider_id = provider_id
        payment.save()
        _is_refunded(payment.sale, now=now)


def _refunded(sale: Sale, *, payment: Payment, provider: str, now: datetime) -> None:
    entry = _given_back(sale, payment=payment, provider=provider)
    books.book(entry, namespace=sale.namespace_id, at=now)
    _is_refunded(sale, now=now)


def _is_refunded(sale: Sale, *, now: datetime) -> None:
    if sale.state == core.State.REFUNDING:
        sale_flow.finish(
            sale, core.move(sale.snapshot(), core.State.REFUNDED), why=sale.why, now=now
        )
    invoice.credit(sale, now=now)
    reason = sale.why or "late_payment"
    answers = remedy.answered_by_refund(sale)
    event = sale_flow.with_amount("SaleRefunded", sale, "refund", reason=reason, **answers)
    record.log(event, namespace=sale.namespace_id, at=now)
    sale_flow.tell(sale, "sale_undone" if answers else "sale_refunded", now=now)


def _kept(sale: Sale, *, payment: Payment) -> None:
    """It has not left. What a bank took meanwhile may now be met by it; else a person looks."""
    bank_took = sale.chargeback_set.exclude(status="won").exists()
    if bank_took and payment.amount_minor == sale.gross_minor:
        record.defer("chargeback.follow", lock=f"{sale.id}:chargeback", sale_id=sale.id)


def _given_back(sale: Sale, *, payment: Payment, provider: str) -> ledger.Entry:
    """What was paid from a wallet goes back into it, all else to where it came from."""
    amount = Money(payment.amount_minor, payment.currency)
    if payment.method == wallet.METHOD:
        return ledger.refunded_to_wallet(sale=sale.id, gross=amount, member=sale.buyer_id)
    provider_id = payment.provider_id or payment.id
    return ledger.refunded(sale=sale.id, amount=amount, provider=provider, provider_id=provider_id)
