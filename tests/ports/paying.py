"""What tests ask the payments port and its provider for."""

from __future__ import annotations

import itertools

from onym.core.money import Money
from onym.ports.stripe import StripePayments

USD = Money(525_00, "USD")
SECRETS = ("whsec_new", "whsec_old")
numbers = itertools.count(1)


def make_port(provider, timeout=5.0):
    return StripePayments(
        api_key="sk_test_onym",
        api_base=provider.base,
        webhook_secrets=SECRETS,
        timeout=timeout,
    )


def names():
    """A fresh (key, sale id)."""
    number = next(numbers)
    return {"key": f"pay-{number}", "sale_id": f"sal_{number}"}


def charge(port, method="pm_card_visa", amount=USD, **named):
    return port.charge(method=method, amount=amount, description="Handle @moon", **named)


def charged(provider, sale_id):
    """What the provider's own books say was taken for a sale."""
    return provider.get("/demo/books").json()["sales"].get(sale_id, {}).get("charge", 0)


def plan(provider, verb, kind, **wanted):
    assert provider.pull("/demo/faults", verb=verb, kind=kind, **wanted).ok
