"""A listing: a seller's standing statement of sale at a fixed price."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from onym.core.errors import AlreadyClosed, NotAllowed, OwnHandle
from onym.core.money import Money
from onym.core.people import Member, is_kin
from onym.core.term import Term


class State(StrEnum):
    """Open, or closed in one of three ways; none of them leads back."""

    OPEN = "open"
    SOLD = "sold"  # a buyer took it
    WITHDRAWN = "withdrawn"  # the seller took it back
    CLOSED = "closed"  # an accepted offer or a returning holder ended it


@dataclass(frozen=True, slots=True)
class Listing:
    id: str
    seller: str
    price: Money
    state: State = State.OPEN
    term: Term = Term.HANDLE


def buy(listing: Listing, *, buyer: Member, seller: Member) -> Listing:
    """Sold. Refuses `already_closed`, then `own_handle` for the seller and linked members."""
    _expect_open(listing)
    if is_kin(buyer, seller):
        raise OwnHandle("nobody buys from themselves")
    return dataclasses.replace(listing, state=State.SOLD)


def withdraw(listing: Listing, *, by: Member, staff_may: bool) -> Listing:
    """Taken back by its seller, or by staff who may list where the house sells."""
    if by.id != listing.seller and not staff_may:
        raise NotAllowed("only the seller may withdraw a listing")
    _expect_open(listing)
    return dataclasses.replace(listing, state=State.WITHDRAWN)


def close(listing: Listing) -> Listing:
    """Ended by something stronger: an accepted offer, a returning holder, a decision."""
    _expect_open(listing)
    return dataclasses.replace(listing, state=State.CLOSED)


def _expect_open(listing: Listing) -> None:
    if listing.state is not State.OPEN:
        raise AlreadyClosed(f"the listing is {listing.state.value}", state=listing.state.value)
