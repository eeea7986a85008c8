"""Checkout Sessions: a page of this server's on which a buyer enters a card, as Stripe has them.

A session is open until its buyer has agreed, until it is expired, or until `expires_at`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onym_demo.payments import events, wire
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, WireError

FIELDS = [
    *("mode", "ui_mode", "line_items", "payment_intent_data", "success_url", "cancel_url"),
    *("expires_at", "locale", "customer_email", "client_reference_id", "adaptive_pricing"),
    *("allowed_payment_method_types", "payment_method_types", "submit_type"),
]
INTENT_FIELDS = ["capture_method", "description", "transfer_group", "statement_descriptor_suffix"]
SHORTEST, LONGEST = 30 * 60, 24 * 3_600
LEEWAY = 5 * 60
"""A request is some time under way; Stripe is as kind."""


def create(provider: Provider, call: Call) -> JSON:
    """A new session at an address of its own."""
    wire.only(call.params, FIELDS)
    if wire.word(call.params, "mode") != "payment":
        raise WireError("This server knows the mode payment only.", param="mode", kept=False)
    amount, currency, title = _total(call.params)
    if amount > provider.options.max_minor:
        raise WireError("Amount is too large.", code="amount_too_large", kept=False)
    identity = wire.new_id("cs_test")
    session = {
        "id": identity,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "cancel_url": wire.word(call.params, "cancel_url", default="") or None,
        "client_reference_id": wire.word(call.params, "client_reference_id", default="") or None,
        "created": provider.now(),
        "currency": currency,
        "customer": None,
        "customer_email": wire.word(call.params, "customer_email", default="") or None,
        "expires_at": _until(provider, call.params),
        "livemode": False,
        "locale": wire.word(call.params, "locale", default="") or None,
        "metadata": wire.metadata(call.params),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "status": "open",
        "success_url": wire.word(call.params, "success_url"),
        "ui_mode": "hosted_page",
        "url": f"{provider.options.base}/c/pay/{identity}",
    }
    provider.state.put(
        {
            "id": f"for_{identity}",
            "object": "session_data",
            "title": title,
            "intent": _intent_data(call.params),
        }
    )
    return provider.state.put(session)


def _total(params: JSON) -> tuple[int, str, str]:
    """Amount and currency of all lines, and what the first is called."""
    lines = params.get("line_items")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise wire.needed("line_items")
    amount, currency, title = 0, "", ""
    for line in lines:
        price = line.get("price_data")
        if not isinstance(price, dict):
            raise wire.needed("line_items[0][price_data]")
        if currency and wire.currency(price) != currency:
            raise WireError("All prices must have one currency.", param="line_items", kept=False)
        currency = wire.currency(price)
        amount += wire.whole(price, "unit_amount") * wire.whole(line, "quantity")
        title = title or _title(price)
    return amount, currency, title


def _title(price: JSON) -> str:
    product = price.get("product_data")
    if not isinstance(product, dict):
        raise wire.needed("line_items[0][price_data][product_data]")
    return wire.word(product, "name")


def _intent_data(params: JSON) -> JSON:
    given = params.get("payment_intent_data") or {}
    if not isinstance(given, dict):
        raise WireError("Invalid object", param="payment_intent_data", kept=False)
    wire.only(given, INTENT_FIELDS)
    wire.capture_method(given)
    return given


def _until(provider: Provider, params: JSON) -> int:
    now = provider.now()
    if "expires_at" not in params:
        return now + LONGEST
    until = wire.whole(params, "expires_at")
    if not now + SHORTEST - LEEWAY <= until <= now + LONGEST + LEEWAY:
        raise WireError(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout"
            " Session creation.",
            param="expires_at",
            kept=False,
        )
    return until


def retrieve(provider: Provider, call: Call) -> JSON:
    session = provider.state.find("checkout.session", call.id)
    if session is None:
        raise wire.missing(noun="checkout.session", identity=call.id, param="session")
    return session


def data(provider: Provider, session: JSON) -> JSON:
    """What the session was made with and does not show: the title, the payment's fields."""
    return provider.state.any(f"for_{session['id']}") or {"title": "", "intent": {}}


def expire(provider: Provider, call: Call) -> JSON:
    """End an open session. Its payment, if one was begun, can never be confirmed any more."""
    wire.only(call.params, [])
    session = retrieve(provider, call)
    if session["status"] != "open":
        raise WireError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
            f" Session has a status of {session['status']}."
        )
    return _expire(provider, session)


def _expire(provider: Provider, session: JSON) -> JSON:
    session |= {"status": "expired", "url": None}
    provider.state.put(session)
    _give_up(provider, session["payment_intent"])
    events.record(provider, "checkout.session.expired", session)
    return session


def _give_up(provider: Provider, identity: str | None) -> None:
    intent = provider.state.find("payment_intent", identity or "")
    if intent is None or intent["status"] in ("succeeded", "requires_capture", "canceled"):
        return
    intent |= {
        "status": "canceled",
        "canceled_at": provider.now(),
        "cancellation_reason": "automatic",
        "next_action": None,
    }
    provider.state.put(intent)
    events.record(provider, "payment_intent.canceled", intent)


def run_out(provider: Provider) -> None:
    """Expire what is open past its time, each in a commit of its own."""
    for row in provider.state.rows(
        "SELECT id FROM objects WHERE kind = 'checkout.session' AND body ->> '$.status' = 'open'"
        " AND body ->> '$.expires_at' <= ?",
        provider.now(),
    ):
        with provider.state.transaction():
            _expire(provider, retrieve(provider, Call(id=row["id"])))


def of_intent(provider: Provider, intent: JSON) -> JSON | None:
    """The session that a payment was begun on."""
    found = provider.state.select(
        "checkout.session", where={"$.payment_intent": intent["id"]}, limit=1
    )
    return found[0] if found else None


def agreed(provider: Provider, intent: JSON) -> None:
    """The buyer's bank has said yes: the session is complete, whether or not the buyer returns."""
    session = of_intent(provider, intent)
    if session is None or session["status"] != "open":
        return
    paid = "paid" if intent["status"] == "succeeded" else "unpaid"
    session |= {"status": "complete", "payment_status": paid, "url": None}
    provider.state.put(session)
    events.record(provider, "checkout.session.completed", session)


def expect_free(provider: Provider, intent: JSON) -> None:
    """A session's payment cannot be cancelled before it waits to be captured, as at Stripe."""
    if intent["status"] != "requires_capture" and of_intent(provider, intent) is not None:
        raise WireError(
            "You cannot cancel this PaymentIntent because it was created by Checkout. Expire the"
            " Checkout Session instead.",
            code="payment_intent_unexpected_state",
        )


def begun(provider: Provider, session: JSON, make: Callable[[Provider, Call], Any]) -> JSON:
    """The session's payment, begun with the first card that is tried."""
    known = provider.state.find("payment_intent", session["payment_intent"] or "")
    if known is not None:
        return known
    asked = {"amount": str(session["amount_total"]), "currency": session["currency"]}
    intent: JSON = make(provider, Call(asked | data(provider, session)["intent"]))
    provider.state.put(session | {"payment_intent": intent["id"]})
    return intent
