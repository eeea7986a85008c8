"""An appeal: a holder objects to a reclaim, and a person who had no part in it decides.

See docs/concepts/reclaim.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from onym.core.errors import AlreadyClosed, Expired, Malformed, SecondPersonNeeded
from onym.core.money import Money
from onym.core.people import Member, is_kin
from onym.core.plan import DAY

LONGEST_TEXT = 4_000


class State(StrEnum):
    """Open, decided in one of two ways, or no longer needed."""

    OPEN = "open"
    UPHELD = "upheld"  # the holder was right
    REJECTED = "rejected"  # the decision stands
    WITHDRAWN = "withdrawn"  # the holder kept the handle meanwhile


class Remedy(StrEnum):
    """What an appeal that was right brings."""

    RESTORED = "restored"  # the handle itself: it was not sold
    WAIT = "wait"  # the first to be told when it is available again
    RETURN = "return_and_refund"  # the sale is undone
    COMPENSATE = "compensate"  # a part of the price


class Sold(StrEnum):
    """What had become of the handle when the appeal was decided."""

    NOT = "not"  # the account still holds it
    BY_US = "by_us"  # the platform sold it, and its buyer holds it
    ON = "on"  # the platform sold it, and it has gone on from there
    ELSEWHERE = "elsewhere"  # it changed hands without us


def expect_openable(*, text: str, decided_at: datetime | None, days: int, now: datetime) -> None:
    """Refuses `malformed` without words, `expired` once `days` have passed since the decision.

    Before the decision, while the holder is only warned, an appeal may be opened as well.
    """
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise Malformed(f"an appeal has 1 to {LONGEST_TEXT} characters")
    if decided_at is not None and now >= decided_at + days * DAY:
        raise Expired(f"an appeal is possible for {days} days after the decision")


def expect_reviewer(
    reviewer: Member, *, deciders: Iterable[Member], appellant: Member | None
) -> None:
    """Refuses `second_person_needed` for whoever decided before or is linked to any party."""
    parties = [*deciders, *([appellant] if appellant else [])]
    if any(is_kin(reviewer, party) for party in parties):
        raise SecondPersonNeeded("an appeal is decided by somebody who had no part in it")


def expect_open(state: str) -> None:
    """Refuses `already_closed` for a decided or withdrawn appeal."""
    if state != State.OPEN:
        raise AlreadyClosed(f"the appeal is {state}", state=state)


def remedy(*, sold: Sold, upheld: str) -> Remedy:
    """What an appeal that is right brings; `upheld` is the policy's word for a sold handle.

    A third person's handle is not taken from them: then the price is shared instead. Without a
    price of ours there is nothing to share or to undo, and the holder waits in line.
    """
    if sold is Sold.NOT:
        return Remedy.RESTORED
    if sold is Sold.ELSEWHERE:
        return Remedy.WAIT
    wished = Remedy(upheld)
    return Remedy.COMPENSATE if wished is Remedy.RETURN and sold is Sold.ON else wished


def compensation(price: Money, *, percent: int) -> Money:
    """`percent` of the price, rounded down to the minor unit."""
    return Money(price.minor * percent // 100, price.currency)
