"""An offer: two parties take turns at a price until one accepts, declines, withdraws or waits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onym.core.errors import AlreadyClosed, AmountTooSmall, Expired, NotAllowed, OwnHandle
from onym.core.money import Money
from onym.core.term import Term


class State(StrEnum):
    """Open, or closed for good in one of four ways."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"  # by the one whose turn it was
    WITHDRAWN = "withdrawn"  # by the buyer
    EXPIRED = "expired"  # nobody answered in time, or the holder changed


class Turn(StrEnum):
    """Whose answer is awaited."""

    BUYER = "buyer"
    SELLER = "seller"

    @property
    def other(self) -> Turn:
        return Turn.SELLER if self is Turn.BUYER else Turn.BUYER


@dataclass(frozen=True, slots=True)
class Offer:
    id: str
    buyer: str
    holder_account_id: str
    price: Money
    state: State
    turn: Turn
    expires_at: datetime
    term: Term = Term.HANDLE


def make(
    *,
    id_: str,
    buyer: str,
    buyer_accounts: tuple[str, ...],
    holder_account_id: str,
    price: Money,
    minimum_minor: int | None,
    expires_at: datetime,
    term: Term = Term.HANDLE,
) -> Offer:
    """A new offer. Refuses `own_handle`, and `amount_too_small` without the figure."""
    if holder_account_id in buyer_accounts:
        raise OwnHandle("this handle is your own")
    if minimum_minor is not None and price.minor < minimum_minor:
        raise AmountTooSmall("the holder does not want to see offers this small")
    return Offer(id_, buyer, holder_account_id, price, State.OPEN, Turn.SELLER, expires_at, term)


def side(offer: Offer, *, member: str, accounts: tuple[str, ...]) -> Turn:
    """Which party a member is; refuses `not_allowed` for anybody else."""
    if member == offer.buyer:
        return Turn.BUYER
    if offer.holder_account_id in accounts:
        return Turn.SELLER
    raise NotAllowed("only the two parties see and answer an offer")


def counter(offer: Offer, *, by: Turn, price: Money, now: datetime, expires_at: datetime) -> Offer:
    """A new price by the one whose turn it is; the turn passes."""
    _expect_turn(offer, by=by, now=now)
    return dataclasses.replace(offer, price=price, turn=by.other, expires_at=expires_at)


def accept(offer: Offer, *, by: Turn, now: datetime) -> Offer:
    """Agreed at the price on the table."""
    _expect_turn(offer, by=by, now=now)
    return dataclasses.replace(offer, state=State.ACCEPTED)


def decline(offer: Offer, *, by: Turn, now: datetime) -> Offer:
    """No, and no counter."""
    _expect_turn(offer, by=by, now=now)
    return dataclasses.replace(offer, state=State.DECLINED)


def withdraw(offer: Offer, *, by: Turn, now: datetime) -> Offer:
    """The buyer takes the offer back, whoever's turn it is."""
    _expect_open(offer, now=now)
    if by is not Turn.BUYER:
        raise NotAllowed("only the buyer withdraws an offer; the holder declines it")
    return dataclasses.replace(offer, state=State.WITHDRAWN)


def expire(offer: Offer, *, now: datetime, holder_changed: bool = False) -> Offer:
    """Time is up, or the holder it was made to no longer holds the handle (H8)."""
    if offer.state is not State.OPEN:
        raise AlreadyClosed(f"the offer is {offer.state.value}", state=offer.state.value)
    if now < offer.expires_at and not holder_changed:
        raise NotAllowed("the offer still stands")
    return dataclasses.replace(offer, state=State.EXPIRED)


def _expect_turn(offer: Offer, *, by: Turn, now: datetime) -> None:
    _expect_open(offer, now=now)
    if by is not offer.turn:
        raise NotAllowed("the other party's answer is awaited")


def _expect_open(offer: Offer, *, now: datetime) -> None:
    if offer.state is State.EXPIRED:
        raise Expired("the offer has expired")
    if offer.state is not State.OPEN:
        raise AlreadyClosed(f"the offer is {offer.state.value}", state=offer.state.value)
    if now >= offer.expires_at:
        raise Expired("the offer has expired")
