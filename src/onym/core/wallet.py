"""The optional wallet: money that a member keeps with the market, and what is held of it.

A hold names what it is for and ends once, posted or voided. See docs/concepts/wallet.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from onym.core.errors import AlreadyClosed, InProgress, InsufficientFunds
from onym.core.money import Money

METHOD = "wallet"
"""The payment method's name, beside the provider's own names of cards."""


class HoldState(StrEnum):
    """Where money that was set aside stands."""

    HELD = "held"  # it waits for what it is held for
    POSTED = "posted"  # it went where it was held for
    VOIDED = "voided"  # it may be used again


@dataclass(frozen=True, slots=True)
class Hold:
    """`subject` is what it is for: a sale, a payout, later a lot."""

    id: str
    member: str
    subject: str
    amount: Money
    state: HoldState = HoldState.HELD
    posted_minor: int = 0


def post(hold: Hold) -> Hold:
    """All of it goes where it was held for. Refuses `already_closed` once it has ended."""
    _expect_live(hold)
    return dataclasses.replace(hold, state=HoldState.POSTED, posted_minor=hold.amount.minor)


def void(hold: Hold) -> Hold:
    """All of it may be used again. Refuses `already_closed` once it has ended."""
    _expect_live(hold)
    return dataclasses.replace(hold, state=HoldState.VOIDED)


def _expect_live(hold: Hold) -> None:
    if hold.state is not HoldState.HELD:
        raise AlreadyClosed(f"the hold is {hold.state.value}", state=hold.state.value)


def expect_funds(wanted: Money, *, available: Money) -> None:
    """Refuses `insufficient_funds` where less than `wanted` may be used."""
    if available.expect(wanted.currency).minor < wanted.minor:
        there = {"minor": available.minor, "currency": available.currency}
        raise InsufficientFunds("there is less than that in the wallet", available=there)


def expect_thawed(*, is_frozen: bool) -> None:
    """Refuses `in_progress` while a bank decides about a deposit of the member's."""
    if is_frozen:
        raise InProgress("a bank is deciding about a deposit of this wallet")


def there_of(amount: Money, *, available: Money) -> Money:
    """How much of what a bank has taken back still lies in the wallet."""
    return Money(min(amount.minor, available.minor), amount.currency)
