"""Charges: one attempt on a card each; a captured one has put money into the platform's book."""

from __future__ import annotations

from onym_demo.payments import books, disputes, events, ledger_lines, methods, wire
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON


def make(provider: Provider, intent: JSON, *, captured: bool) -> JSON:
    """A charge that the card's bank agreed to; captured at once or only authorised."""
    charge = _new(provider, intent) | {"status": "succeeded", "paid": True}
    provider.state.put(charge)
    events.record(provider, "charge.succeeded", charge)
    return _take(provider, intent, charge, intent["amount"]) if captured else charge


def capture(provider: Provider, intent: JSON, amount: int) -> JSON:
    charge = provider.state.find("charge", intent["latest_charge"])
    assert charge is not None  # noqa: S101 - the intent names a charge made in the same commit
    return _take(provider, intent, charge, amount)


def _take(provider: Provider, intent: JSON, charge: JSON, amount: int) -> JSON:
    line = ledger_lines.write(
        provider,
        kind="charge",
        source=books.CARDS,
        target=books.PLATFORM,
        minor=amount,
        body=charge,
    )
    charge |= {"captured": True, "amount_captured": amount, "balance_transaction": line["id"]}
    provider.state.put(charge)
    if reason := methods.find(intent["payment_method"]).dispute:
        disputes.begin(provider, charge, reason)
    return charge


def fail(provider: Provider, intent: JSON, error: JSON) -> JSON:
    charge = _new(provider, intent) | {
        "status": "failed",
        "paid": False,
        "failure_code": error["code"],
        "failure_message": error["message"],
    }
    provider.state.put(charge)
    events.record(provider, "charge.failed", charge)
    return charge


def _new(provider: Provider, intent: JSON) -> JSON:
    method = methods.wire(intent["payment_method"], created=intent["created"])
    return {
        "id": wire.new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": False,
        "created": provider.now(),
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "dispute": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": intent["metadata"],
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {"type": "card", "card": method["card"]},
        "receipt_email": None,
        "refunded": False,
        "statement_descriptor": None,
        "transfer_group": intent["transfer_group"],
    }


def retrieve(provider: Provider, call: Call) -> JSON:
    charge = provider.state.find("charge", call.id)
    if charge is None:
        raise wire.missing(noun="charge", identity=call.id)
    return charge
