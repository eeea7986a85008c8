"""Asking the payment provider: charge, give up a charge, refund, pay out."""

from __future__ import annotations

from onym import ports
from onym.core.checkout import METHOD as CHECKOUT
from onym.core.money import Money
from onym.core.sale import PaymentState, PayoutState
from onym.flows import ledger, payments
from onym.jobs import checkout
from onym.jobs.queue import again, task
from onym.ports.payments import Charge, Effect
from onym.queries import checkout as pages
from onym.queries import payments as orders

CHARGES = {
    "paid": PaymentState.PAID,
    "declined": PaymentState.DECLINED,
    "cancelled": PaymentState.CANCELLED,
    "action_needed": PaymentState.ACTION,
    "authorised": PaymentState.UNKNOWN,
    "unknown": PaymentState.UNKNOWN,
}
OPEN = (PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.ACTION)
HINTED = -1
"""The attempt of a job that a hint or the buyer ordered: it leaves coming back to the others."""
A_PERSONS_WAIT = 3
"""The attempt to start from where a person must act: a few seconds at least."""
REFUNDS = {
    "done": PaymentState.DONE,
    "refused": PaymentState.REFUSED,
    "unknown": PaymentState.UNKNOWN,
}


@task("sale.charge")
def charge(*, payment_id: str, attempt: int = 0) -> None:
    """Charge, or ask about a charge that got no answer; an unknown is asked about again.

    The provider keeps the key for ever, so the same call is also how an unknown is asked about. So
    is one that its buyer must confirm at the bank: it is asked about until the time to pay is over.
    """
    order = orders.order(payment_id)
    if order.state not in OPEN:
        return
    by_page = order.method == CHECKOUT
    said = checkout.ask(pages.of_sale(payment_id)) if by_page else _charge(order)
    _record(order, said)
    if said.state in ("unknown", "action_needed") and attempt != HINTED:
        patience = A_PERSONS_WAIT if said.state == "action_needed" else 0
        again("sale.charge", lock=order.key, attempt=max(attempt, patience), payment_id=payment_id)


def _charge(order: orders.Order) -> Charge:
    return ports.payments(order.namespace).charge(
        key=order.key,
        amount=order.amount,
        method=order.method,
        sale_id=order.sale,
        description=order.sale,
        intent_id=order.provider_id,
        return_url=order.return_url,
    )


@task("sale.give_up_charge")
def give_up_charge(*, payment_id: str, attempt: int = 0) -> None:
    """The time to pay is over: make the charge final at the provider, whichever way it went."""
    order = orders.order(payment_id)
    if order.state not in OPEN:
        return
    by_page = order.method == CHECKOUT
    said = checkout.give_up(pages.of_sale(payment_id)) if by_page else _give_up(order)
    _record(order, said)
    if said.state == "unknown":
        again(
            "sale.give_up_charge",
            lock=payments.end(order.key),
            attempt=attempt,
            payment_id=payment_id,
        )


def _give_up(order: orders.Order) -> Charge:
    return called_off(
        order.namespace,
        key=order.key,
        amount=order.amount,
        sale_id=order.sale,
        intent_id=order.provider_id,
    )


def called_off(
    namespace: str, *, key: str, amount: Money, sale_id: str, intent_id: str | None
) -> Charge:
    """Asked about once more, and cancelled where it is still open."""
    provider = ports.payments(namespace)
    said = provider.ask(key=key, amount=amount, sale_id=sale_id, intent_id=intent_id)
    if said.state in ("unknown", "action_needed") and said.intent_id:
        said = provider.cancel(key=key, intent_id=said.intent_id)
    return said


def _record(order: orders.Order, said: Charge) -> None:
    payments.record_charge(
        payment_id=order.key,
        state=CHARGES[said.state],
        provider=ports.payments(order.namespace).name,
        provider_id=said.intent_id,
        reason=said.reason,
        action_url=said.action_url,
        checkout_id=said.checkout_id,
    )


@task("sale.refund")
def refund(*, payment_id: str, attempt: int = 0) -> None:
    """Give a charge back, or ask about a refund that got no answer."""
    order = orders.order(payment_id)
    if order.state in (PaymentState.DONE, PaymentState.REFUSED):
        return
    provider = ports.payments(order.namespace)
    said = provider.refund(
        key=order.key,
        intent_id=orders.charged_intent(order.sale),
        amount=order.amount,
        sale_id=order.sale,
    )
    payments.record_refund(
        payment_id=payment_id,
        state=REFUNDS[said.state],
        provider=provider.name,
        provider_id=said.provider_id,
        reason=said.reason,
    )
    if said.state == "unknown" and attempt != HINTED:
        again("sale.refund", lock=payment_id, attempt=attempt, payment_id=payment_id)


@task("ledger.pay_out_all")
def pay_out_all(*, payout_ids: list[str]) -> None:
    """Pay sellers who are due at once: one call each, and what was paid is recorded together.

    A fault at one of them is raised once the others' answers are written down.
    """
    paid: dict[str, dict[str, str]] = {}
    faults: list[Exception] = []
    for id_ in payout_ids:
        try:
            _pay_one(id_, paid)
        except Exception as fault:
            faults.append(fault)
    for provider, answered in paid.items():
        ledger.record_payouts(paid=answered, provider=provider)
    if faults:
        raise faults[0]


def _pay_one(payout_id: str, paid: dict[str, dict[str, str]]) -> None:
    """Ask for one payout; a *done* goes into `paid`, by provider, anything else is recorded."""
    order = orders.payout_order(payout_id)
    if order.state in ledger.FINAL or order.account is None:
        return
    if not ledger.may_leave(payout_id=payout_id):
        return
    provider = ports.payments(order.namespace)
    said: Effect = provider.pay_out(
        key=order.key, account=order.account, amount=order.amount, sale_id=order.sale
    )
    if said.state == "done" and said.provider_id:
        paid.setdefault(provider.name, {})[payout_id] = said.provider_id
    else:
        _record_payout(payout_id, said, provider=provider.name)
        if said.state == "unknown":
            again("ledger.pay_out", lock=payout_id, attempt=0, payout_id=payout_id)


@task("ledger.pay_out")
def pay_out(*, payout_id: str, attempt: int = 0) -> None:
    """Pay a seller, or ask about a payout that got no answer."""
    order = orders.payout_order(payout_id)
    if order.state in ledger.FINAL or order.account is None:
        return
    if not ledger.may_leave(payout_id=payout_id):
        return
    provider = ports.payments(order.namespace)
    said: Effect = provider.pay_out(
        key=order.key, account=order.account, amount=order.amount, sale_id=order.sale
    )
    _record_payout(payout_id, said, provider=provider.name)
    if said.state == "unknown":
        again("ledger.pay_out", lock=payout_id, attempt=attempt, payout_id=payout_id)


def _record_payout(payout_id: str, said: Effect, *, provider: str) -> None:
    ledger.record_payout(
        payout_id=payout_id,
        state=PayoutState(said.state),
        provider=provider,
        provider_id=said.provider_id,
        reason=said.reason,
    )
