"""What tests ask the demo's payment provider for."""

from __future__ import annotations

import itertools

import requests
import stripe
from tests.demo.servers import Program

KEY = ("sk_test_onym", "")
numbers = itertools.count(1)


def make_provider(folder, *options):
    return Program("onym_demo.payments", folder, ["--settle-seconds", "0.2", *options]).start()


def make_client(provider):
    return stripe.StripeClient(
        "sk_test_onym",
        base_addresses={"api": provider.base},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=5),
    ).v1


def post(provider, path, key=None, **fields):
    headers = {"Idempotency-Key": key} if key else {}
    return requests.post(provider.base + path, fields, auth=KEY, headers=headers, timeout=10)


def make_intent(client, **fields):
    return client.payment_intents.create({"amount": 5000, "currency": "usd", **fields})


def pay(client, amount=5000, method="pm_card_visa", **fields):
    intent = make_intent(client, amount=amount, **fields)
    return client.payment_intents.confirm(intent.id, {"payment_method": method})


def make_account(provider, client):
    account = client.accounts.create({"type": "express", "email": "seller@people.example"})
    assert provider.pull(f"/demo/accounts/{account.id}/complete").ok
    return account.id


def sums(provider, currency="usd"):
    books = provider.get("/demo/books").json()
    assert books["balanced"], books
    return books["currencies"].get(currency, {"in": 0, "platform": 0})


def charges(client):
    return [one for one in client.charges.list({"limit": 100}).auto_paging_iter() if one.captured]
