"""Asking the payment provider about deposits, their chargebacks, and giving back to wallets."""

from __future__ import annotations

from functools import partial

from onym import ports
from onym.core.checkout import METHOD as CHECKOUT
from onym.core.sale import PaymentState
from onym.flows import deposit, payments
from onym.jobs import checkout
from onym.jobs.payments import A_PERSONS_WAIT, CHARGES, HINTED, called_off
from onym.jobs.queue import again, task
from onym.ports.payments import Charge
from onym.queries import checkout as pages
from onym.queries import wallet as orders


@task("deposit.charge")
def charge(*, deposit_id: str, attempt: int = 0) -> None:
    """Charge, or ask about a charge that got no answer; as `sale.charge` does."""
    order = orders.order(deposit_id)
    if order.state not in deposit.OPEN:
        return
    by_page = order.method == CHECKOUT
    said = checkout.ask(_page(deposit_id)) if by_page else _charge(order)
    _record(order, said)
    if said.state in ("unknown", "action_needed") and attempt != HINTED:
        patience = A_PERSONS_WAIT if said.state == "action_needed" else 0
        wait = max(attempt, patience)
        again("deposit.charge", lock=order.key, attempt=wait, deposit_id=deposit_id)


def _page(deposit_id: str) -> pages.Page:
    return pages.of_deposit(deposit_id, takes=partial(deposit.take, deposit_id=deposit_id))


def _charge(order: orders.Order) -> Charge:
    return ports.payments(order.namespace).charge(
        key=order.key,
        amount=order.amount,
        method=order.method,
        sale_id=order.key,
        description=order.key,
        intent_id=order.provider_id,
        return_url=order.return_url,
    )


@task("deposit.give_up")
def give_up(*, deposit_id: str, attempt: int = 0) -> None:
    """Make it final at the provider, whichever way it went."""
    order = orders.order(deposit_id)
    if order.state not in deposit.OPEN:
        return
    by_page = order.method == CHECKOUT
    said = checkout.give_up(_page(deposit_id)) if by_page else _give_up(order)
    _record(order, said)
    if said.state == "unknown":
        lock = deposit.end(order.key)
        again("deposit.give_up", lock=lock, attempt=attempt, deposit_id=deposit_id)


def _give_up(order: orders.Order) -> Charge:
    return called_off(
        order.namespace,
        key=order.key,
        amount=order.amount,
        sale_id=order.key,
        intent_id=order.provider_id,
    )


def _record(order: orders.Order, said: Charge) -> None:
    deposit.record_charge(
        deposit_id=order.key,
        state=CHARGES[said.state],
        provider=ports.payments(order.namespace).name,
        provider_id=said.intent_id,
        reason=said.reason,
        action_url=said.action_url,
        checkout_id=said.checkout_id,
    )


@task("deposit.ask_chargebacks")
def ask_chargebacks(*, deposit_id: str, attempt: int = 0) -> None:
    """What the provider says now; silence is asked again."""
    order = orders.order(deposit_id)
    if order.provider_id is None:
        return
    provider = ports.payments(order.namespace)
    told = provider.chargebacks(intent_id=order.provider_id)
    if told is None:
        lock = f"{deposit_id}:chargeback"
        again("deposit.ask_chargebacks", lock=lock, attempt=attempt, deposit_id=deposit_id)
        return
    deposit.record_chargebacks(deposit_id=deposit_id, provider=provider.name, told=list(told))


@task("wallet.refund")
def refund(*, payment_id: str) -> None:
    """What was paid from a wallet goes back into it: nobody outside is asked."""
    payments.record_refund(
        payment_id=payment_id, state=PaymentState.DONE, provider="", provider_id=None
    )
