"""Refusals: the expected "no"s of the market, each with a stable code (docs/reference/refusals.md).

One class a code, ordered by HTTP status; the wire form is decided by the class and nowhere else.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """An expected "no". `facts` are plain JSON values that go with the answer."""

    status: ClassVar[int] = 422
    code: str = "refused"
    title: ClassVar[str] = "Refused"
    keeps: ClassVar[bool] = False  # what was written before this was raised stays written

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts = facts


class Malformed(Refusal):
    status, code, title = 400, "malformed", "The request cannot be read"


class IdempotencyKeyMissing(Refusal):
    status, code, title = 400, "idempotency_key_missing", "Every write needs an Idempotency-Key"


class NotSignedIn(Refusal):
    status, code, title = 401, "not_signed_in", "Nobody is signed in"


class PaymentDeclined(Refusal):
    status, code, title = 402, "payment_declined", "The payment was declined"


class InsufficientFunds(Refusal):
    """`available` is what may be used; what is held for something else does not count."""

    status, code, title = 402, "insufficient_funds", "There is not enough money in the wallet"


class NotAllowed(Refusal):
    status, code, title = 403, "not_allowed", "This member may not do this"


class StaffMayNot(Refusal):
    status, code, title = 403, "staff_may_not", "Staff may not take part in the market"


class SecondFactorNeeded(Refusal):
    status, code, title = 403, "second_factor_needed", "A fresh second factor is needed"


class SecondPersonNeeded(Refusal):
    status, code, title = 403, "second_person_needed", "A second, unlinked person must approve"


class ScreeningHeld(Refusal):
    """A name is like a listed one; whose it is stays between the desk and them."""

    status, code, title = 403, "screening_held", "A person has to look at this first"
    keeps = True  # the case that was opened


class NotFound(Refusal):
    status, code, title = 404, "not_found", "There is no such thing"


class SaleSlotTaken(Refusal):
    status, code, title = 409, "sale_slot_taken", "The handle is already being sold"


class AlreadyClosed(Refusal):
    status, code, title = 409, "already_closed", "It is already closed"


class HandleLocked(Refusal):
    status, code, title = 409, "handle_locked", "The handle is locked"


class PhaseClosed(Refusal):
    status, code, title = 409, "phase_closed", "The launch phase does not allow this"


class ReleaseStopped(Refusal):
    status, code, title = 409, "release_stopped", "Inactive handles cannot be released at this time"


class ShownChanged(Refusal):
    status, code, title = 409, "shown_changed", "What was shown has changed since"
    keeps = True  # the proposal is void from then on


class IdempotencyMismatch(Refusal):
    status, code, title = 409, "idempotency_mismatch", "The key was used for another request"


class InProgress(Refusal):
    status, code, title = 409, "in_progress", "The same request is still being worked on"


class StatementKnown(Refusal):
    """Nothing of a statement is booked twice, and nothing of it halfway."""

    status, code, title = 409, "statement_known", "This bank statement was imported before"


class StatementGap(Refusal):
    status, code, title = 409, "statement_gap", "A bank statement before this one is missing"


class Expired(Refusal):
    status, code, title = 410, "expired", "It has expired"


class HandleMalformed(Refusal):
    status, code, title = 422, "handle_malformed", "Not a handle of this namespace"


class HandleUnavailable(Refusal):
    """`rung` names the first step of the availability ladder that fails."""

    status, code, title = 422, "handle_unavailable", "The handle is not available"


class OwnHandle(Refusal):
    status, code, title = 422, "own_handle", "One's own handle"


class CurrencyMismatch(Refusal):
    status, code, title = 422, "currency_mismatch", "Not the currency of this namespace"


class AccountMismatch(Refusal):
    status, code, title = 422, "account_mismatch", "Not the account of this market"


class StatementUnbalanced(Refusal):
    status, code, title = 422, "statement_unbalanced", "The statement's sums do not agree"


class AmountTooLarge(Refusal):
    status, code, title = 422, "amount_too_large", "The amount is too large"


class AmountTooSmall(Refusal):
    status, code, title = 422, "amount_too_small", "The amount is too small"


class CountryNeeded(Refusal):
    """Taxes are due, and depend on where the buyer lives."""

    status, code, title = 422, "country_needed", "The buyer's country is not known"


class NameNeeded(Refusal):
    """`whose` says whether it is the asking member's own name, `yours`, or the other side's."""

    status, code, title = 422, "name_needed", "A name is needed before money moves"


class NotLinked(Refusal):
    status, code, title = 422, "not_linked", "No account of this namespace is linked"


class RateLimited(Refusal):
    status, code, title = 429, "rate_limited", "Too many requests"


class PlatformUnavailable(Refusal):
    status, code, title = 503, "platform_unavailable", "The platform does not answer"


class AreaStopped(Refusal):
    """`area` says which; nothing is lost, and it may be asked again once the stop is lifted."""

    status, code, title = 503, "area_stopped", "This part of the market is stopped for now"


class ScreeningStale(Refusal):
    status, code, title = 503, "screening_stale", "The screening list is out of date"


class DatabaseUnavailable(Refusal):
    status, code, title = 503, "database_unavailable", "The database does not answer"
