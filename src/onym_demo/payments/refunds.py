"""Refunds: never more than was captured, and each leaves the platform's book once."""

from __future__ import annotations

from onym_demo.payments import books, events, ledger_lines, methods, wire
from onym_demo.payments.provider import Call, Provider, sale_of
from onym_demo.payments.wire import JSON, WireError

FIELDS = ["payment_intent", "charge", "amount", "reason", "instructions_email"]


def create(provider: Provider, call: Call) -> JSON:
    wire.only(call.params, FIELDS)
    charge = _charge(provider, call.params)
    left = charge["amount_captured"] - charge["amount_refunded"] - _disputed(provider, charge)
    amount = wire.whole(call.params, "amount") if "amount" in call.params else left
    _check(charge, amount, left)
    refund = _new(provider, call.params, charge, amount)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    provider.state.put(charge)
    _pay_back(provider, refund, charge)
    _expect_outcome(provider, refund, charge)
    events.record(provider, "refund.created", refund)
    events.record(provider, "charge.refunded", charge)
    return refund


def _charge(provider: Provider, params: JSON) -> JSON:
    identity = wire.word(params, "charge", default="")
    if not identity:
        name = wire.word(params, "payment_intent")
        intent = provider.state.find("payment_intent", name)
        if intent is None:
            raise wire.missing(noun="payment_intent", identity=name, param="payment_intent")
        identity = intent["latest_charge"] or ""
    charge = provider.state.find("charge", identity)
    if charge is None or not charge["captured"]:
        raise WireError("There is no captured charge to refund.", code="charge_not_captured")
    return charge


def _check(charge: JSON, amount: int, left: int) -> None:
    if charge["disputed"] and left <= 0:
        raise WireError(f"Charge {charge['id']} has been charged back.", code="charge_disputed")
    if left <= 0:
        raise WireError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if amount > left:
        raise WireError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            code="refund_amount_too_large",
            param="amount",
        )


def _disputed(provider: Provider, charge: JSON) -> int:
    """What the bank has taken of it: the rest of the payment may still be given back."""
    dispute = provider.state.find("dispute", charge["dispute"] or "") or {}
    return int(dispute["amount"]) if charge["disputed"] else 0


def _new(provider: Provider, params: JSON, charge: JSON, amount: int) -> JSON:
    return {
        "id": wire.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": provider.now(),
        "currency": charge["currency"],
        "destination_details": {"type": "card"},
        "metadata": wire.metadata(params),
        "payment_intent": charge["payment_intent"],
        "reason": wire.word(params, "reason", default="") or None,
        "status": "succeeded",
    }


def _pay_back(provider: Provider, refund: JSON, charge: JSON) -> None:
    line = ledger_lines.write(
        provider,
        kind="refund",
        source=books.PLATFORM,
        target=books.CARDS,
        minor=refund["amount"],
        body=refund,
        sale_id=sale_of(charge),
    )
    provider.state.put(refund | {"balance_transaction": line["id"]})
    refund["balance_transaction"] = line["id"]


def _expect_outcome(provider: Provider, refund: JSON, charge: JSON) -> None:
    """Two test cards give their answer only later, as Stripe's do."""
    outcome = methods.find(charge["payment_method"]).refund
    if outcome == "succeeded":
        return
    if outcome == "pending":
        refund["status"] = "pending"
        provider.state.put(refund)
    due = provider.clock.machine() + provider.options.settle_seconds
    provider.state.db.execute(
        "INSERT INTO timers (due, id, outcome) VALUES (?, ?, ?)",
        (due, refund["id"], "succeeded" if outcome == "pending" else "failed"),
    )


def settle(provider: Provider, identity: str, *, failed: bool) -> JSON:
    """The bank's late word: a failed refund comes back to the platform's book."""
    refund = retrieve(provider, Call(id=identity))
    if refund["status"] == "failed" or (not failed and refund["status"] == "succeeded"):
        return refund
    if not failed:
        refund["status"] = "succeeded"
        provider.state.put(refund)
        events.record(provider, "refund.updated", refund)
        return refund
    refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    _take_back(provider, refund)
    events.record(provider, "refund.failed", refund)
    return refund


def _take_back(provider: Provider, refund: JSON) -> None:
    charge = provider.state.find("charge", refund["charge"]) or {}
    ledger_lines.write(
        provider,
        kind="refund_failure",
        source=books.CARDS,
        target=books.PLATFORM,
        minor=refund["amount"],
        body=refund,
        sale_id=sale_of(charge),
    )
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    provider.state.put(charge)
    provider.state.put(refund)


def retrieve(provider: Provider, call: Call) -> JSON:
    refund = provider.state.find("refund", call.id)
    if refund is None:
        raise wire.missing(noun="refund", identity=call.id)
    return refund
