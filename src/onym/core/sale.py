"""A sale: from agreement through escrow and transfer to settlement or refund.

One table says which steps exist; every step is a function of (sale, command, now). Money leaves
escrow only on a read-back. See docs/concepts/sale.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onym.core.errors import AlreadyClosed, Expired, InProgress, NotAllowed
from onym.core.guidelines import Guidelines
from onym.core.money import Money
from onym.core.term import Term


class Kind(StrEnum):
    """Who sells to whom."""

    PRIMARY = "primary"  # the platform sells a released handle
    TRADE = "trade"  # between members
    HOUSE = "house"  # the operator buys, disclosed and approved by two


class State(StrEnum):
    """Where a sale stands."""

    AGREED = "agreed"  # price and parties are fixed
    FUNDING = "funding"  # waiting for the buyer's money
    FUNDING_UNKNOWN = "funding_unknown"  # the provider was asked and has not answered
    FUNDED = "funded"  # the money is in escrow
    COOLING = "cooling"  # a trade waits, so that a theft can be noticed
    DELIVERING = "delivering"  # the platform is being asked to move the handle
    DELIVERY_UNKNOWN = "delivery_unknown"  # it was asked and has not answered
    INSPECTION = "inspection"  # the buyer holds the handle and may object
    SETTLED = "settled"  # the money is shared out
    RETURNING = "returning"  # an appeal was right: the platform is asked to give the handle back
    DISPUTED = "disputed"  # the buyer objected; people decide
    REFUNDING = "refunding"  # the money is on its way back
    REFUNDED = "refunded"  # the buyer has the money back
    EXPIRED = "expired"  # it was not paid in time
    CANCELLED = "cancelled"  # ended before any money moved


LIVE = frozenset(State) - {State.SETTLED, State.REFUNDED, State.EXPIRED, State.CANCELLED}
"""States in which the sale fills the handle's sale slot."""

ESCROWED = frozenset(
    {
        State.FUNDED,
        State.COOLING,
        State.DELIVERING,
        State.DELIVERY_UNKNOWN,
        State.INSPECTION,
        State.DISPUTED,
        State.REFUNDING,
    }
)
"""States in which the buyer's money lies in escrow."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.AGREED: frozenset({State.FUNDING}),
    State.FUNDING: frozenset({State.FUNDING_UNKNOWN, State.FUNDED, State.EXPIRED, State.CANCELLED}),
    State.FUNDING_UNKNOWN: frozenset(
        {State.FUNDING, State.FUNDED, State.EXPIRED, State.CANCELLED, State.REFUNDING}
    ),
    State.FUNDED: frozenset({State.COOLING, State.DELIVERING, State.REFUNDING}),
    State.COOLING: frozenset({State.DELIVERING, State.REFUNDING}),
    State.DELIVERING: frozenset({State.DELIVERY_UNKNOWN, State.INSPECTION, State.REFUNDING}),
    State.DELIVERY_UNKNOWN: frozenset({State.DELIVERING, State.INSPECTION, State.REFUNDING}),
    State.INSPECTION: frozenset({State.SETTLED, State.DISPUTED}),
    State.DISPUTED: frozenset({State.SETTLED, State.REFUNDING}),
    State.REFUNDING: frozenset({State.REFUNDED}),
    State.SETTLED: frozenset({State.RETURNING, State.DISPUTED}),
    State.RETURNING: frozenset({State.SETTLED, State.REFUNDING}),
    State.REFUNDED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}


class PaymentState(StrEnum):
    """One attempt to charge or to refund."""

    PENDING = "pending"  # ordered; the provider may or may not have been asked
    UNKNOWN = "unknown"  # asked, no answer: ask again
    ACTION = "action"  # the buyer must confirm it at the bank, or it is given up at the deadline
    PAID = "paid"  # the provider has captured it
    DECLINED = "declined"  # the provider said no
    CANCELLED = "cancelled"  # given up, and the provider agrees that it can never be paid
    DONE = "done"  # a refund has left
    REFUSED = "refused"  # a refund cannot leave: suspense on the desk


class PayoutState(StrEnum):
    """The seller's proceeds on their way out."""

    DUE = "due"  # waiting for the withdrawal delay, or for the job
    UNKNOWN = "unknown"  # asked, no answer: ask again
    DONE = "done"  # the provider has paid it
    REFUSED = "refused"  # the provider said no: tried again once the account is ready
    KEPT = "kept"  # it went to the seller's wallet instead of leaving
    WITHHELD = "withheld"  # the buyer's bank took the money back before it left: nothing is paid


@dataclass(frozen=True, slots=True)
class Sale:
    id: str
    kind: Kind
    state: State
    buyer: str
    seller: str
    buyer_account_id: str
    seller_account_id: str | None
    price: Money
    funding_until: datetime
    cooling_until: datetime | None = None
    delivery_until: datetime | None = None
    inspection_until: datetime | None = None
    read_back_account_id: str | None = None
    frozen: bool = False
    term: Term = Term.HANDLE


def move(sale: Sale, to: State) -> Sale:
    """The sale in state `to`; refuses `already_closed` when the table has no such step."""
    if to not in TRANSITIONS[sale.state]:
        raise AlreadyClosed(
            f"a sale that is {sale.state.value} cannot become {to.value}", state=sale.state.value
        )
    return dataclasses.replace(sale, state=to)


def expect_thawed(sale: Sale) -> None:
    """Refuses `in_progress` while the buyer's bank decides about the payment: nothing moves."""
    if sale.frozen:
        raise InProgress("the buyer's bank is deciding about this payment")


def pay(sale: Sale, *, by: str, now: datetime) -> Sale:
    """The buyer may pay now. Refuses `not_allowed`, `already_closed`, `expired`."""
    if by != sale.buyer:
        raise NotAllowed("only the buyer pays")
    if sale.state is State.EXPIRED:
        raise Expired("the time to pay is over")
    if sale.state is not State.FUNDING:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    if now >= sale.funding_until:
        raise Expired("the time to pay is over")
    return sale


def fund(sale: Sale, *, guidelines: Guidelines, now: datetime) -> Sale:
    """The money is in escrow: a trade cools off, anything else is delivered at once.

    A sale that ended meanwhile, or whose time ran out, is not funded: see `funds_arrive_late`.
    """
    funded = move(sale, State.FUNDED)
    cooling = guidelines.cooling_off(sale.price) if sale.kind is Kind.TRADE else None
    if cooling:
        return dataclasses.replace(move(funded, State.COOLING), cooling_until=now + cooling)
    return _deliver(funded, guidelines=guidelines, now=now)


def funds_arrive_late(sale: Sale) -> bool:
    """True when money was captured for a sale that can no longer be funded: it goes back."""
    return State.FUNDED not in TRANSITIONS[sale.state]


def expire(sale: Sale, *, now: datetime) -> Sale:
    """Not paid in time: final only when no charge is under way (the flow asks first)."""
    if now < sale.funding_until:
        raise NotAllowed("the time to pay is not over")
    return move(sale, State.EXPIRED)


def cool(sale: Sale, *, guidelines: Guidelines, now: datetime) -> Sale:
    """Cooling-off is over: delivery begins. `not_allowed` before that instant."""
    if sale.state is not State.COOLING or sale.cooling_until is None:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    expect_thawed(sale)
    if now < sale.cooling_until:
        raise NotAllowed("cooling-off is not over")
    return _deliver(sale, guidelines=guidelines, now=now)


def _deliver(sale: Sale, *, guidelines: Guidelines, now: datetime) -> Sale:
    until = now + guidelines.periods["delivery_hours"]
    return dataclasses.replace(move(sale, State.DELIVERING), delivery_until=until)


def read_back(sale: Sale, *, holder: str | None, guidelines: Guidelines, now: datetime) -> Sale:
    """The platform was asked who holds the handle. The buyer does: inspection begins."""
    if sale.state not in (State.DELIVERING, State.DELIVERY_UNKNOWN):
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    if holder != sale.buyer_account_id:
        return dataclasses.replace(sale, read_back_account_id=holder)
    until = now + guidelines.periods["inspection_hours"]
    return dataclasses.replace(
        move(sale, State.INSPECTION), read_back_account_id=holder, inspection_until=until
    )


def give_up(sale: Sale, *, holder: str | None) -> Sale:
    """Delivery failed: the money goes back, but never while the buyer holds the handle (H4)."""
    if holder == sale.buyer_account_id:
        raise NotAllowed("the buyer holds the handle: nothing is refunded")
    return dataclasses.replace(move(sale, State.REFUNDING), read_back_account_id=holder)


def accept(sale: Sale, *, by: str) -> Sale:
    """The buyer ends the inspection early."""
    if by != sale.buyer:
        raise NotAllowed("only the buyer ends the inspection")
    return _settle(sale)


def inspect(sale: Sale, *, now: datetime) -> Sale:
    """The inspection has passed without objection."""
    if sale.state is not State.INSPECTION or sale.inspection_until is None:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    if now < sale.inspection_until:
        raise NotAllowed("the inspection is not over")
    return _settle(sale)


def _settle(sale: Sale) -> Sale:
    expect_thawed(sale)
    settled = move(sale, State.SETTLED)
    if sale.read_back_account_id != sale.buyer_account_id:
        raise NotAllowed("no read-back shows the buyer as holder")
    return settled


def dispute(sale: Sale, *, by: str, now: datetime) -> Sale:
    """The buyer objects within the inspection."""
    if by != sale.buyer:
        raise NotAllowed("only the buyer may dispute")
    if sale.inspection_until is not None and now >= sale.inspection_until:
        raise Expired("the inspection is over")
    return move(sale, State.DISPUTED)


def uphold(sale: Sale) -> Sale:
    """The dispute is decided for the seller. `already_closed` when there is none."""
    if sale.state is not State.DISPUTED:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    return _settle(sale)


def send_back(sale: Sale, *, guidelines: Guidelines, now: datetime) -> Sale:
    """A dispute was decided for the buyer: what was sold goes back, for as long as a delivery."""
    if sale.state is not State.DISPUTED:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    return dataclasses.replace(sale, delivery_until=now + guidelines.periods["delivery_hours"])


def take_back(sale: Sale, *, guidelines: Guidelines, now: datetime) -> Sale:
    """An appeal against a settled primary sale was right: the handle is to go back to whom it was
    taken from, which is tried for as long as a delivery. Refuses `already_closed`, `not_allowed`.
    """
    returning = move(sale, State.RETURNING)
    if sale.kind is not Kind.PRIMARY or sale.seller_account_id is None:
        raise NotAllowed("this sale took the handle from nobody")
    until = now + guidelines.periods["delivery_hours"]
    return dataclasses.replace(returning, delivery_until=until)


def taken_back(sale: Sale, *, holder: str | None) -> Sale:
    """A read-back shows the handle with whom it was taken from: the buyer's money follows (H4)."""
    if holder is None or holder != sale.seller_account_id:
        raise NotAllowed("the handle is not back: nothing is refunded")
    if sale.state is not State.RETURNING:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    return dataclasses.replace(move(sale, State.REFUNDING), read_back_account_id=holder)


def left_sold(sale: Sale) -> Sale:
    """The handle could not be given back: the sale stays as it was settled."""
    if sale.state is not State.RETURNING:
        raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)
    return _settle(sale)


def awaits(sale: Sale, *, to: str) -> bool:
    """Whether a move of the handle to account `to` is what the sale waits for."""
    if sale.state is State.RETURNING:
        return to == sale.seller_account_id
    return sale.state in (State.DELIVERING, State.DELIVERY_UNKNOWN) and to == sale.buyer_account_id


def cancel(sale: Sale, *, by: str) -> Sale:
    """Ended by a party: before money by the buyer, while cooling off by either.

    A charge under way forbids it: its outcome must be known first.
    """
    if by not in (sale.buyer, sale.seller):
        raise NotAllowed("only a party may cancel a sale")
    if sale.state is State.COOLING:
        expect_thawed(sale)
        return move(sale, State.REFUNDING)
    if sale.state is State.FUNDING and by == sale.buyer:
        return move(sale, State.CANCELLED)
    raise AlreadyClosed(f"the sale is {sale.state.value}", state=sale.state.value)


def yields_to_holder(sale: Sale) -> bool:
    """Whether a returning holder still wins: until the money is in escrow."""
    return sale.state in (State.AGREED, State.FUNDING, State.FUNDING_UNKNOWN)
