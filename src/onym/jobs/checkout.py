"""Asking about the provider's own page: open it, look what the buyer did, take or release it.

A deposit is asked about as a sale is: its member is the buyer.
"""

from __future__ import annotations

from onym import ports
from onym.core.errors import ScreeningStale
from onym.jobs.queue import again, task
from onym.ports.payments import Charge, Checkout
from onym.queries import checkout as pages
from onym.queries.checkout import Page


def ask(page: Page) -> Charge:
    """Where the buyer stands; what was agreed to is taken, if the sale still waits for it."""
    if page.provider_id is not None:
        return _take(page, page.provider_id)
    said = _look(page)
    if said.state == "open" and not page.is_wanted():
        said = _end(page, said)
    return _followed(page, said)


def give_up(page: Page) -> Charge:
    """Close the page; a buyer who has agreed before that has paid."""
    if page.provider_id is not None:
        return _take(page, page.provider_id)
    said = _look(page)
    return _followed(page, _end(page, said) if said.state == "open" else said)


def _look(page: Page) -> Checkout:
    provider = ports.payments(page.namespace)
    return provider.check_out(visit=page.visit, checkout_id=page.checkout_id)


def _end(page: Page, said: Checkout) -> Checkout:
    provider = ports.payments(page.namespace)
    return provider.end_checkout(visit=page.visit, checkout_id=said.id)


def _followed(page: Page, said: Checkout) -> Charge:
    if said.state == "complete" and said.intent_id:
        return _take(page, said.intent_id)
    if said.state == "open":
        return Charge("action_needed", action_url=said.url, checkout_id=said.id)
    if said.state == "expired":
        return Charge("cancelled", reason=said.reason, checkout_id=said.id)
    return Charge("unknown", reason=said.reason, checkout_id=said.id)


def _take(page: Page, intent: str) -> Charge:
    """Capture for a sale that waits, release for any other; a payment ends only once. While it
    cannot be decided the bank's word stands, and it is asked again.
    """
    provider, visit = ports.payments(page.namespace), page.visit
    said = provider.ask(key=visit.key, amount=visit.amount, sale_id=visit.sale_id, intent_id=intent)
    if said.state != "authorised":
        return said
    try:
        if not page.takes():
            return provider.cancel(key=visit.key, intent_id=intent)
    except ScreeningStale as stale:
        return Charge("unknown", intent, stale.code)
    taken = provider.capture(
        key=visit.key, amount=visit.amount, sale_id=visit.sale_id, intent_id=intent
    )
    return taken if taken.state != "unknown" else Charge("unknown", intent, "capturing")


@task("sale.void_stray")
def void_stray(*, sale_id: str, intent_id: str, attempt: int = 0) -> None:
    """Release what was agreed to on a page of ours that no payment of the sale (or no deposit)
    stands for.

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
