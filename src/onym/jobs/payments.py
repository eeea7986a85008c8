"""Asking the payment provider: charge, give up a charge, refund, pay out."""

from __future__ import annotations

from onym import ports
from onym.core.sale import PaymentState, PayoutState
from onym.flows import ledger, payments
from onym.jobs.queue import again, task
from onym.ports.payments import Charge, Effect
from onym.queries import payments as orders

CHARGES = {
    "paid": PaymentState.PAID,
    "declined": PaymentState.DECLINED,
    "cancelled": PaymentState.CANCELLED,
    "action_needed": PaymentState.DECLINED,
    "unknown": PaymentState.UNKNOWN,
}
REFUNDS = {
    "done": PaymentState.DONE,
    "refused": PaymentState.REFUSED,
    "unknown": PaymentState.UNKNOWN,
}


@task("sale.charge")
def charge(*, payment_id: str, attempt: int = 0) -> None:
    """Charge, or ask about a charge that got no answer; an unknown is asked about again."""
    order = orders.order(payment_id)
    if order.state not in (PaymentState.PENDING, PaymentState.UNKNOWN):
        return
    said = _charge(order)
    _record(order, said)
    if said.state == "unknown":
        again("sale.charge", lock=order.sale, attempt=attempt, payment_id=payment_id)


def _charge(order: orders.Order) -> Charge:
    # The provider keeps the key for ever, so the same call is also how an unknown is asked about.
    return ports.payments(order.namespace).charge(
        key=order.key,
        amount=order.amount,
        method=order.method,
        sale_id=order.sale,
        description=order.sale,
        intent_id=order.provider_id,
    )


def _record(order: orders.Order, said: Charge) -> None:
    payments.record_charge(
        payment_id=order.key,
        state=CHARGES[said.state],
        provider=ports.payments(order.namespace).name,
        provider_id=said.intent_id,
        reason=said.reason or "",
    )


@task("sale.give_up_charge")
def give_up_charge(*, payment_id: str, attempt: int = 0) -> None:
    """The time to pay is over: make the charge final at the provider, whichever way it went."""
    order = orders.order(payment_id)
    if order.state not in (PaymentState.PENDING, PaymentState.UNKNOWN):
        return
    said = ports.payments(order.namespace).cancel(
        key=order.key, amount=order.amount, sale_id=order.sale, intent_id=order.provider_id
    )
    _record(order, said)
    if said.state == "unknown":
        again("sale.give_up_charge", lock=order.sale, attempt=attempt, payment_id=payment_id)


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
        reason=said.reason or "",
    )
    if said.state == "unknown":
        again("sale.refund", lock=order.sale, attempt=attempt, payment_id=payment_id)


@task("ledger.pay_out")
def pay_out(*, payout_id: str, attempt: int = 0) -> None:
    """Pay a seller, or ask about a payout that got no answer."""
    order = orders.payout_order(payout_id)
    if order.state in ledger.FINAL or order.account is None:
        return
    provider = ports.payments(order.namespace)
    said: Effect = provider.pay_out(
        key=order.key, account=order.account, amount=order.amount, sale_id=order.sale
    )
    ledger.record_payout(
        payout_id=payout_id,
        state=PayoutState(said.state),
        provider=provider.name,
        provider_id=said.provider_id,
        reason=said.reason or "",
    )
    if said.state == "unknown":
        again("ledger.pay_out", lock=payout_id, attempt=attempt, payout_id=payout_id)
