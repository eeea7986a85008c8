"""A chargeback: the buyer's bank takes a payment back, and decides later who was right.

Where the money came from decides what follows; see docs/concepts/chargebacks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from onym.core.sale import PayoutState, State


class Status(StrEnum):
    """What the provider says of one chargeback."""

    OPEN = "open"  # the bank has taken the money and decides
    WON = "won"  # it gave the money back to us
    LOST = "lost"  # it left the money with the buyer


class Source(StrEnum):
    """Which of our accounts the bank's money came out of."""

    ESCROW = "escrow"  # it still lay in the sale's escrow
    WALLET = "wallet"  # a deposit: what lay in the wallet, and a claim of the house for the rest
    RECEIVABLE = "receivable"  # it was shared out or given back before: a claim of the house


SHARED_OUT = frozenset({State.SETTLED, State.RETURNING})
UNPAID = frozenset({PayoutState.DUE, PayoutState.REFUSED})
GIVING_BACK = frozenset({State.REFUNDING, State.EXPIRED, State.CANCELLED})
"""The sale has ended without its handle: what lies in its escrow is the buyer's."""
MOVING = frozenset({State.DELIVERING, State.DELIVERY_UNKNOWN, State.RETURNING})


def source(state: State, *, is_whole: bool, is_refunded: bool) -> Source:
    """Where the money of a chargeback comes from, by the sale's state when it opens.

    One about a part of the payment never touches escrow, which holds the whole or nothing.
    """
    shared = state in SHARED_OUT or is_refunded or not is_whole
    return Source.RECEIVABLE if shared else Source.ESCROW


class Next(StrEnum):
    """What follows a chargeback that was lost."""

    WAIT = "wait"  # a move or a payout is under way: its outcome must be known first
    END = "end"  # the handle has not moved: the sale is refunded by the bank
    TAKE_BACK = "take_back"  # the buyer has handle and money: the handle goes back
    REFUND_REST = "refund_rest"  # the buyer has a part from the bank: the rest goes back too
    STAND = "stand"  # the proceeds are paid out: the sale stands, the claim is booked


def after_loss(
    state: State, *, is_whole: bool, payout: PayoutState | None, with_buyer: bool
) -> Next:
    """`is_whole`: all that was paid is lost. `payout` is the seller's, None where the house sold;
    `with_buyer`: nobody had it since."""
    if not is_whole:
        return Next.REFUND_REST if state in GIVING_BACK else Next.STAND
    if state in MOVING:
        return Next.WAIT
    if state in (State.INSPECTION, State.DISPUTED):
        return Next.TAKE_BACK
    if state is State.SETTLED and payout is PayoutState.UNKNOWN:
        return Next.WAIT
    if state is State.SETTLED:
        unpaid = payout is None or payout in UNPAID
        return Next.TAKE_BACK if unpaid and with_buyer else Next.STAND
    return Next.END


@dataclass(frozen=True, slots=True)
class Loss:
    """One lost chargeback in minor units; `is_out`: escrow has borne it already."""

    id: str
    minor: int
    is_out: bool


def to_absorb(losses: Sequence[Loss], *, gross: int) -> list[str]:
    """Which losses the gross that lies in escrow again bears, the oldest first: never more than
    was paid."""
    left = gross - sum(loss.minor for loss in losses if loss.is_out)
    found = []
    for loss in losses:
        if not loss.is_out and loss.minor <= left:
            left -= loss.minor
            found.append(loss.id)
    return found


def rest(losses: Sequence[Loss], *, gross: int) -> int:
    """What of the gross no bank has given to the buyer."""
    return max(0, gross - sum(loss.minor for loss in losses))
