"""A card entered on the provider's own page: Stripe's Checkout Sessions; docs/guides/payments.md.

A session takes no money: what its buyer agreed to there waits until it is captured, or is released.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from onym.core.errors import IdempotencyMismatch
from onym.ports import stripe_answers as answers
from onym.ports.payments import Checkout, Visit
from onym.ports.stripe_answers import attempt

if TYPE_CHECKING:
    import stripe

LANGUAGES = ("en", "fr")
"""Of ours, those that the page speaks; for others it looks at the browser."""
KEYS = 3
"""Keys tried for one visit. Nobody was led to a page whose address never came."""


def look(client: stripe.V1Services, visit: Visit, checkout_id: str) -> Checkout:
    """How the session stands. Without its id it is opened, or learnt by the same key again.

    A key lives as long as a session may: whoever never heard of one within it cannot have led
    anybody there. So when the key is not what it was, that session is as good as `expired`.
    """
    if checkout_id:
        found = attempt(lambda: client.checkout.sessions.retrieve(checkout_id))
        return _read(found, visit, checkout_id)
    try:
        made = _open(client, visit)
    except IdempotencyMismatch:
        return Checkout("expired", reason="changed")
    if isinstance(made, answers.No) and made.sure:
        return Checkout("expired", reason=made.reason)
    if not isinstance(made, answers.No) and answers.is_remembered(made.last_response):
        return look(client, visit, made.id)  # what is remembered is how it stood at first
    return _read(made, visit, "")


def _open(client: stripe.V1Services, visit: Visit) -> stripe.checkout.Session | answers.No:
    """A failure that the provider remembers under a key is its answer for ever: then the next."""
    made: stripe.checkout.Session | answers.No = answers.No("not_asked")
    for turn in range(KEYS):
        name = f"{visit.key}:checkout" + (f":{turn}" if turn else "")
        create = partial(client.checkout.sessions.create, _wanted(visit))
        made = attempt(partial(create, options={"idempotency_key": name}))
        if not (isinstance(made, answers.No) and made.remembered):
            break
    return made


def end(client: stripe.V1Services, visit: Visit, checkout_id: str) -> Checkout:
    """Expire the session. One that is no longer open refuses that, and then says what it is."""
    ended = attempt(lambda: client.checkout.sessions.expire(checkout_id))
    if isinstance(ended, answers.No) and ended.sure:
        return look(client, visit, checkout_id)
    return _read(ended, visit, checkout_id)


def _wanted(visit: Visit) -> stripe.params.checkout.SessionCreateParams:
    """Everything follows from the visit, so that asking can repeat it."""
    noted = {"sale_id": visit.sale_id, "key": visit.key}
    price: stripe.params.checkout.SessionCreateParamsLineItemPriceData = {
        "currency": visit.amount.currency.lower(),
        "unit_amount": visit.amount.minor,
        "product_data": {"name": visit.title},
    }
    told: stripe.params.checkout.SessionCreateParams = {
        "mode": "payment",
        "client_reference_id": visit.sale_id,
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": {
            "capture_method": "manual",
            "description": visit.sale_id,
            "transfer_group": visit.sale_id,
            "metadata": noted,
        },
        "metadata": noted,
        "success_url": visit.success_url,
        "cancel_url": visit.cancel_url,
        "expires_at": visit.until,
        "locale": visit.language if visit.language in LANGUAGES else "auto",
    }
    if visit.mail:
        told["customer_email"] = visit.mail
    return told


def _read(found: stripe.checkout.Session | answers.No, visit: Visit, checkout_id: str) -> Checkout:
    if isinstance(found, answers.No):
        return Checkout("unknown", checkout_id, reason=found.reason)
    same = (found.amount_total, found.currency) == (
        visit.amount.minor,
        visit.amount.currency.lower(),
    )
    if not same or answers.note(found.metadata, "sale_id") != visit.sale_id:
        return Checkout("unknown", found.id, reason="differs")
    intent = answers.identity(found.payment_intent) or None
    match found.status:
        case "open":
            return Checkout("open", found.id, str(found.url or ""), intent)
        case "complete":
            return Checkout("complete", found.id, "", intent)
        case "expired":
            return Checkout("expired", found.id, "", intent, "checkout_expired")
    return Checkout("unknown", found.id, reason=str(found.status))
