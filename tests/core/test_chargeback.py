"""What a chargeback means, by where the sale stands: where its money came from, what follows."""

from __future__ import annotations

import pytest

from onym.core import chargeback as core
from onym.core.chargeback import Loss, Next, Source
from onym.core.sale import PayoutState, State

SOURCES: list[tuple[State, bool, bool, Source]] = [
    # state, about the whole payment, given back already, where from
    (State.COOLING, True, False, Source.ESCROW),
    (State.DELIVERING, True, False, Source.ESCROW),
    (State.INSPECTION, True, False, Source.ESCROW),
    (State.DISPUTED, True, False, Source.ESCROW),
    (State.REFUNDING, True, False, Source.ESCROW),
    (State.EXPIRED, True, False, Source.ESCROW),
    (State.SETTLED, True, False, Source.RECEIVABLE),
    (State.RETURNING, True, False, Source.RECEIVABLE),
    (State.REFUNDED, True, True, Source.RECEIVABLE),
    (State.CANCELLED, True, True, Source.RECEIVABLE),
    (State.INSPECTION, False, False, Source.RECEIVABLE),
]


@pytest.mark.parametrize(("state", "is_whole", "is_refunded", "wanted"), SOURCES)
def test_the_money_comes_out_of_escrow_while_it_lies_there_and_else_is_a_claim(
    state: State, is_whole: bool, is_refunded: bool, wanted: Source
) -> None:
    assert core.source(state, is_whole=is_whole, is_refunded=is_refunded) is wanted


DUE, ASKED, DONE = PayoutState.DUE, PayoutState.UNKNOWN, PayoutState.DONE
LOST: list[tuple[State, PayoutState | None, bool, Next]] = [
    (State.COOLING, None, False, Next.END),
    (State.REFUNDING, None, False, Next.END),
    (State.EXPIRED, None, False, Next.END),
    (State.DELIVERING, None, False, Next.WAIT),
    (State.DELIVERY_UNKNOWN, None, False, Next.WAIT),
    (State.RETURNING, None, True, Next.WAIT),
    (State.INSPECTION, None, True, Next.TAKE_BACK),
    (State.DISPUTED, None, True, Next.TAKE_BACK),
    (State.SETTLED, DUE, True, Next.TAKE_BACK),
    (State.SETTLED, PayoutState.REFUSED, True, Next.TAKE_BACK),
    (State.SETTLED, None, True, Next.TAKE_BACK),
    (State.SETTLED, ASKED, True, Next.WAIT),
    (State.SETTLED, DONE, True, Next.STAND),
    (State.SETTLED, DUE, False, Next.STAND),
]


@pytest.mark.parametrize(("state", "payout", "with_buyer", "wanted"), LOST)
def test_what_follows_a_loss_depends_on_where_handle_and_proceeds_are(
    state: State, payout: PayoutState | None, with_buyer: bool, wanted: Next
) -> None:
    found = core.after_loss(state, is_whole=True, payout=payout, with_buyer=with_buyer)
    assert found is wanted


@pytest.mark.parametrize("state", list(State))
def test_a_part_that_is_lost_undoes_nothing_but_is_refunded_only_once(state: State) -> None:
    ended = state in (State.REFUNDING, State.EXPIRED, State.CANCELLED)
    found = core.after_loss(state, is_whole=False, payout=DUE, with_buyer=True)
    assert found is (Next.REFUND_REST if ended else Next.STAND)


WHOLE, PART, MORE = Loss("a", 100, False), Loss("b", 30, False), Loss("c", 80, False)
OUT = Loss("d", 100, True)
LOSSES: list[tuple[list[Loss], list[str], int]] = [
    # what was lost of a gross of 100, what escrow bears of it, what is left to give back
    ([], [], 100),
    ([WHOLE], ["a"], 0),
    ([OUT], [], 0),
    ([PART], ["b"], 70),
    ([Loss("b", 30, True)], [], 70),
    ([PART, MORE], ["b"], 0),
    ([OUT, WHOLE], [], 0),
    ([PART, Loss("e", 70, False)], ["b", "e"], 0),
]


@pytest.mark.parametrize(("losses", "borne", "rest"), LOSSES)
def test_escrow_bears_no_more_than_was_paid_and_the_rest_goes_back(
    losses: list[Loss], borne: list[str], rest: int
) -> None:
    assert core.to_absorb(losses, gross=100) == borne
    assert core.rest(losses, gross=100) == rest
