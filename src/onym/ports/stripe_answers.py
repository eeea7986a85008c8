"""What an answer of Stripe's means to us, and what a failure leaves open.

A sure no is told from silence here and nowhere else; docs/guides/payments.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from onym.core.errors import IdempotencyMismatch, Malformed, PlatformUnavailable
from onym.core.money import Money
from onym.ports.payments import NOT_CONFIRMED, Charge, Effect

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class No:
    """Not the object asked for. `sure`: the provider refused and nothing was done.

    `remembered`: a server's failure at an earlier try, which this key will repeat for ever.
    """

    reason: str
    sure: bool = False
    remembered: bool = False


def attempt(act: Callable[[], T]) -> T | No:
    """Do one call at the provider and sort what can go wrong into sure and unknown."""
    import stripe

    try:
        return act()
    except stripe.CardError as error:
        return No(_decline_code(error), sure=True)
    except stripe.IdempotencyError as error:
        raise IdempotencyMismatch("the key was used for another payment") from error
    except stripe.RateLimitError:
        return No("rate_limited")
    except stripe.InvalidRequestError as error:
        return No(error.code or "invalid_request", sure=True)
    except (stripe.AuthenticationError, stripe.PermissionError):
        return No("not_authenticated")
    except stripe.APIConnectionError:
        return No("no_answer")
    except stripe.StripeError as error:
        if error.http_status == 409:
            return No("in_progress")
        return No("provider_failed", remembered=_is_replay(error.headers))


def is_remembered(response: stripe.StripeResponse | None) -> bool:
    """Whether this is the first answer under the key once more, and not how things stand now."""
    return response is not None and _is_replay(response.headers)


def _is_replay(headers: Mapping[str, str] | None) -> bool:
    return (headers or {}).get("idempotent-replayed", "") == "true"


def answered(answer: T | No) -> T:
    """What was asked for. Refuses `malformed` for a sure no, else `platform_unavailable`."""
    if not isinstance(answer, No):
        return answer
    if answer.sure:
        raise Malformed(f"the payment provider refused: {answer.reason}")
    raise PlatformUnavailable("the payment provider does not answer")


def _decline_code(error: stripe.CardError) -> str:
    said = error.error
    return str(getattr(said, "decline_code", None) or error.code or "card_declined")


def charge(
    intent: stripe.PaymentIntent, *, amount: Money | None = None, sale_id: str = ""
) -> Charge:
    """Read a payment's state. One that is not the payment asked about is never `paid`."""
    if amount is not None and (
        (intent.amount, intent.currency) != (amount.minor, amount.currency.lower())
        or note(intent.metadata, "sale_id") != sale_id
    ):
        return Charge("unknown", intent.id, "differs")
    if intent.status == "succeeded":
        received = int(getattr(intent, "amount_received", intent.amount))
        if received != intent.amount:
            return Charge("unknown", intent.id, "differs", received)
        return Charge("paid", intent.id, "", received)
    if intent.status == "canceled":
        why = getattr(intent, "cancellation_reason", None)
        return Charge("cancelled", intent.id, str(why or ""))
    if intent.status == "requires_capture":
        return Charge("authorised", intent.id)
    if intent.status == "requires_action":
        return Charge("action_needed", intent.id, "requires_action", 0, _action_url(intent))
    failed = intent.last_payment_error
    if intent.status == "requires_payment_method" and failed is not None:
        reason = getattr(failed, "decline_code", None) or getattr(failed, "code", None)
        return Charge("declined", intent.id, str(reason or "card_declined"))
    unconfirmed = intent.status in ("requires_payment_method", "requires_confirmation")
    return Charge("unknown", intent.id, NOT_CONFIRMED if unconfirmed else intent.status)


def _action_url(intent: stripe.PaymentIntent) -> str:
    """Absent fields raise AttributeError on the SDK's objects, hence getattr."""
    redirect = getattr(intent.next_action, "redirect_to_url", None)
    return str(getattr(redirect, "url", None) or "")


def refund(found: stripe.Refund) -> Effect:
    """Read a refund's state: one that the bank has not answered is unknown."""
    if found.status == "succeeded":
        return Effect("done", found.id)
    if found.status in ("failed", "canceled"):
        reason = getattr(found, "failure_reason", None)
        return Effect("refused", found.id, str(reason or found.status))
    return Effect("unknown", found.id, found.status or "pending")


def refused(answer: No) -> Effect:
    """What a no means for money that was to leave."""
    return Effect("refused" if answer.sure else "unknown", None, answer.reason)


def expect(
    minor: int, currency: str, metadata: stripe.StripeObject | None, amount: Money, sale_id: str
) -> None:
    """Refuses `idempotency_mismatch` for another amount or another sale."""
    same = (minor, currency) == (amount.minor, amount.currency.lower())
    if not same or note(metadata, "sale_id") != sale_id:
        raise IdempotencyMismatch("the key was used for another payment")


def note(metadata: stripe.StripeObject | None, name: str) -> str:
    """What we noted there; empty if nothing."""
    return str(metadata[name]) if metadata is not None and name in metadata else ""


def identity(found: object) -> str:
    """Stripe gives an id, or the whole object when it was asked to expand it."""
    return found if isinstance(found, str) else str(getattr(found, "id", "") or "")
