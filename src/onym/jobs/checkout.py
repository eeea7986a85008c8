"""Asking about the provider's own page: open it, look what the buyer did, take or release it."""

from __future__ import annotations

from onym import ports
from onym.jobs.queue import again, task
from onym.ports.payments import Charge, Checkout
from onym.queries import checkout as pages
from onym.queries.payments import Order


def ask(order: Order) -> Charge:
    """Where the buyer stands; what was agreed to is taken, if the sale still waits for it."""
    if order.provider_id is not None:
        return _take(order, order.provider_id)
    said = _look(order)
    if said.state == "open" and not pages.is_wanted(order.key):
        said = _end(order, said)
    return _followed(order, said)


def give_up(order: Order) -> Charge:
    """Close the page; a buyer who has agreed before that has paid."""
    if order.provider_id is not None:
        return _take(order, order.provider_id)
    said = _look(order)
    return _followed(order, _end(order, said) if said.state == "open" else said)


def _look(order: Order) -> Checkout:
    provider = ports.payments(order.namespace)
    return provider.check_out(visit=pages.visit(order.key), checkout_id=order.checkout_id)


def _end(order: Order, said: Checkout) -> Checkout:
    provider = ports.payments(order.namespace)
    return provider.end_checkout(visit=pages.visit(order.key), checkout_id=said.id)


def _followed(order: Order, said: Checkout) -> Charge:
    if said.state == "complete" and said.intent_id:
        return _take(order, said.intent_id)
    if said.state == "open":
        return Charge("action_needed", action_url=said.url, checkout_id=said.id)
    if said.state == "expired":
        return Charge("cancelled", reason=said.reason, checkout_id=said.id)
    return Charge("unknown", reason=said.reason, checkout_id=said.id)


def _take(order: Order, intent: str) -> Charge:
    """Capture for a sale that waits, release for any other; a payment ends only once."""
    provider = ports.payments(order.namespace)
    said = provider.ask(key=order.key, amount=order.amount, sale_id=order.sale, intent_id=intent)
    if said.state != "authorised":
        return said
    if not pages.is_wanted(order.key):
        return provider.cancel(key=order.key, intent_id=intent)
    taken = provider.capture(
        key=order.key, amount=order.amount, sale_id=order.sale, intent_id=intent
    )
    return taken if taken.state != "unknown" else Charge("unknown", intent, "capturing")


@task("sale.void_stray")
def void_stray(*, sale_id: str, intent_id: str, attempt: int = 0) -> None:
    """Release what was agreed to on a page of ours that no payment of the sale stands for.

    At most one payment of a sale is captured: a second page, or one that a restored database has
    forgotten, never takes anything.
    """
    whose = pages.whose(sale_id=sale_id, intent_id=intent_id)
    if whose == "ours":
        return
    namespace, amount = pages.price(sale_id)
    provider = ports.payments(namespace)
    said = provider.ask(key="", amount=amount, sale_id=sale_id, intent_id=intent_id)
    if said.state == "authorised" and whose == "stray":
        said = provider.cancel(key="", intent_id=intent_id)
    if said.state == "authorised" or (said.state == "unknown" and said.reason != "differs"):
        lock = f"{sale_id}:stray:{intent_id}"
        again("sale.void_stray", lock=lock, attempt=attempt, sale_id=sale_id, intent_id=intent_id)
