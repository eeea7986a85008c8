"""Card numbers as a buyer types them: Stripe's test numbers, and what is wrong with any other.

https://docs.stripe.com/testing; no real card is taken here, nor kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

NUMBERS = {
    "4242424242424242": "pm_card_visa",
    "4000056655665556": "pm_card_visa_debit",
    "5555555555554444": "pm_card_mastercard",
    "378282246310005": "pm_card_amex",
    "6011111111111117": "pm_card_discover",
    "4000000000000077": "pm_card_bypassPending",
    "4000000000000002": "pm_card_visa_chargeDeclined",
    "4000000000009995": "pm_card_visa_chargeDeclinedInsufficientFunds",
    "4000000000009987": "pm_card_visa_chargeDeclinedLostCard",
    "4000000000009979": "pm_card_visa_chargeDeclinedStolenCard",
    "4000000000000069": "pm_card_chargeDeclinedExpiredCard",
    "4000000000000127": "pm_card_chargeDeclinedIncorrectCvc",
    "4000000000000119": "pm_card_chargeDeclinedProcessingError",
    "4000002500003155": "pm_card_authenticationRequired",
    "4000000000003220": "pm_card_threeDSecure2Required",
    "4000000000003063": "pm_card_threeDSecureRequired",
    "4000000000000259": "pm_card_createDispute",
}
"""Number to the payment method that stands for it in the API."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that was typed without a mistake, by the name of its test method."""

    method: str
    wrong: str = ""


def read(*, number: str, expiry: str, cvc: str, now: float) -> Card:
    """`wrong` names the field that a person has to look at again: number, expiry, cvc."""
    digits = re.sub(r"[ -]", "", number)
    if not re.fullmatch(r"[0-9]{12,19}", digits) or not _adds_up(digits):
        return Card("", "number")
    if not _lies_ahead(expiry, now):
        return Card("", "expiry")
    if not re.fullmatch(r"[0-9]{3,4}", cvc.strip()):
        return Card("", "cvc")
    method = NUMBERS.get(digits)
    return Card(method) if method else Card("", "unknown")


def _adds_up(digits: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _lies_ahead(expiry: str, now: float) -> bool:
    found = re.fullmatch(r"\s*([0-9]{1,2})\s*/\s*(?:20)?([0-9]{2})\s*", expiry)
    if not found or not 1 <= int(found[1]) <= 12:
        return False
    today = datetime.fromtimestamp(now, UTC)
    return (2000 + int(found[2]), int(found[1])) >= (today.year, today.month)
