"""PaymentIntents: one buyer's payment, from *requires_payment_method* to *succeeded*."""

from __future__ import annotations

import secrets
from typing import Any

from onym_demo.payments import charges, events, methods, sessions, wire
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, Answer, WireError

CREATE_FIELDS = [
    *("amount", "currency", "payment_method", "confirm", "capture_method", "description"),
    *("transfer_group", "allowed_payment_method_types", "automatic_payment_methods"),
    *("receipt_email", "return_url", "statement_descriptor_suffix"),
]
CONFIRM_FIELDS = ["payment_method", "return_url", "off_session", "error_on_requires_action"]

THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
"""Stripe moves these in steps of ten of their smallest units."""
CONFIRMABLE = {"requires_payment_method", "requires_confirmation", "requires_action"}
CANCELABLE = CONFIRMABLE | {"requires_capture"}


def create(provider: Provider, call: Call) -> JSON | Answer:
    wire.only(call.params, CREATE_FIELDS)
    intent = provider.state.put(_new(provider, call.params))
    events.record(provider, "payment_intent.created", intent)
    if wire.truth(call.params, "confirm"):
        method = wire.word(call.params, "payment_method")
        return _attempt(provider, intent, method, wire.word(call.params, "return_url", default=""))
    return intent


def _new(provider: Provider, params: JSON) -> JSON:
    amount, currency = wire.whole(params, "amount"), wire.currency(params)
    if amount > provider.options.max_minor:
        raise WireError("Amount is too large.", code="amount_too_large", param="amount", kept=False)
    if amount < 50 and currency in ("usd", "eur"):
        raise WireError("Amount is too small.", code="amount_too_small", param="amount", kept=False)
    if amount % 10 and currency in THREE_DECIMALS:
        raise WireError("The last digit must be 0.", code="amount_invalid", param="amount")
    method = wire.word(params, "payment_method", default="")
    if method:
        methods.find(method)
    identity = wire.new_id("pi")
    return {
        "id": identity,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": wire.capture_method(params),
        "client_secret": f"{identity}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": provider.now(),
        "currency": currency,
        "customer": None,
        "description": wire.word(params, "description", default="") or None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": wire.metadata(params),
        "next_action": None,
        "payment_method": method or None,
        "payment_method_types": ["card"],
        "receipt_email": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "transfer_group": wire.word(params, "transfer_group", default="") or None,
    }


def retrieve(provider: Provider, call: Call) -> JSON:
    intent = provider.state.find("payment_intent", call.id)
    if intent is None:
        raise wire.missing(noun="payment_intent", identity=call.id, param="intent")
    return intent


def update(provider: Provider, call: Call) -> JSON:
    """Change words and metadata; the money stays as it was named at first."""
    wire.only(call.params, ["description"])
    intent = retrieve(provider, call)
    if "description" in call.params:
        intent["description"] = wire.word(call.params, "description", default="") or None
    intent["metadata"] |= wire.metadata(call.params)
    return provider.state.put(intent)


def confirm(provider: Provider, call: Call) -> JSON | Answer:
    wire.only(call.params, CONFIRM_FIELDS)
    intent = retrieve(provider, call)
    name = wire.word(call.params, "payment_method", default=intent["payment_method"] or "")
    _expect(intent, CONFIRMABLE, "confirm")
    if not name:
        raise wire.needed("payment_method")
    return _attempt(provider, intent, name, wire.word(call.params, "return_url", default=""))


def _expect(intent: JSON, allowed: set[str], verb: str) -> None:
    if intent["status"] not in allowed:
        error = WireError(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
        error.answer.body["error"]["payment_intent"] = intent
        raise error


def _attempt(provider: Provider, intent: JSON, name: str, return_url: str) -> JSON | Answer:
    method = methods.find(name)
    intent |= {"payment_method": name, "last_payment_error": None, "next_action": None}
    if method.outcome == "action":
        return _ask_buyer(provider, intent, return_url)
    if method.delay:
        intent["status"] = "processing"
        if method.delay > 0:
            _later(provider, intent["id"], method.outcome, method.delay)
        provider.state.put(intent)
        events.record(provider, "payment_intent.processing", intent)
        return intent
    return _settle(provider, intent, paid=method.outcome == "paid")


def _ask_buyer(provider: Provider, intent: JSON, return_url: str) -> JSON:
    """3-D Secure: the buyer must say yes on a page of the bank's, here of this server's."""
    action: dict[str, Any] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    if return_url:
        url = f"{provider.options.base}/demo/authenticate/{intent['id']}"
        page = {"url": url, "return_url": return_url}
        action = {"type": "redirect_to_url", "redirect_to_url": page}
    intent |= {"status": "requires_action", "next_action": action}
    events.record(provider, "payment_intent.requires_action", intent)
    return provider.state.put(intent)


def _later(provider: Provider, identity: str, outcome: str, periods: int) -> None:
    due = provider.clock.machine() + periods * provider.options.settle_seconds
    provider.state.db.execute(
        "INSERT INTO timers (due, id, outcome) VALUES (?, ?, ?)", (due, identity, outcome)
    )


def settle(provider: Provider, identity: str, *, paid: bool) -> JSON | Answer:
    """End *processing* or *requires_action*; anything else is left as it is."""
    intent = retrieve(provider, Call(id=identity))
    if intent["status"] not in ("processing", "requires_action"):
        return intent
    return _settle(provider, intent, paid=paid)


def _settle(provider: Provider, intent: JSON, *, paid: bool) -> JSON | Answer:
    intent["next_action"] = None
    if not paid:
        return _decline(provider, intent)
    manual = intent["capture_method"] == "manual"
    charge = charges.make(provider, intent, captured=not manual)
    intent["latest_charge"] = charge["id"]
    if manual:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        kind = "payment_intent.amount_capturable_updated"
    else:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        kind = "payment_intent.succeeded"
    provider.state.put(intent)
    events.record(provider, kind, intent)
    sessions.agreed(provider, intent)
    return intent


def _decline(provider: Provider, intent: JSON) -> Answer:
    method = methods.find(intent["payment_method"])
    code = method.code or "payment_intent_authentication_failure"
    error: JSON = {
        "type": "card_error",
        "code": code,
        "message": methods.DECLINED.get(code, "The buyer could not be authenticated."),
        "payment_method": methods.wire(intent["payment_method"], created=intent["created"]),
    }
    if method.decline_code:
        error["decline_code"] = method.decline_code
    charge = charges.fail(provider, intent, error)
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": error | {"charge": charge["id"]},
        "latest_charge": charge["id"],
        "payment_method": None,
    }
    provider.state.put(intent)
    events.record(provider, "payment_intent.payment_failed", intent)
    return Answer(402, {"error": error | {"charge": charge["id"], "payment_intent": intent}})


def capture(provider: Provider, call: Call) -> JSON:
    wire.only(call.params, ["amount_to_capture"])
    intent = retrieve(provider, call)
    _expect(intent, {"requires_capture"}, "capture")
    amount = intent["amount"]
    if "amount_to_capture" in call.params:
        amount = wire.whole(call.params, "amount_to_capture")
    if amount > intent["amount_capturable"]:
        raise WireError("You cannot capture more than was authorised.", param="amount_to_capture")
    charges.capture(provider, intent, amount)
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    provider.state.put(intent)
    events.record(provider, "payment_intent.succeeded", intent)
    return intent


def cancel(provider: Provider, call: Call) -> JSON:
    wire.only(call.params, ["cancellation_reason"])
    intent = retrieve(provider, call)
    _expect(intent, CANCELABLE, "cancel")
    sessions.expect_free(provider, intent)
    intent |= {
        "status": "canceled",
        "canceled_at": provider.now(),
        "cancellation_reason": wire.word(call.params, "cancellation_reason", default="") or None,
        "amount_capturable": 0,
        "next_action": None,
    }
    provider.state.put(intent)
    events.record(provider, "payment_intent.canceled", intent)
    return intent
