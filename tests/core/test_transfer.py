"""The last look and the table of a transfer's states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onym.core import transfer
from onym.core.errors import AlreadyClosed
from onym.core.transfer import FINAL, LAG, TRANSITIONS, Bar, Look, Next, State, Transfer

FUNDED = datetime(2026, 6, 1, tzinfo=UTC)
SWEPT = FUNDED - timedelta(days=90)
SECOND = timedelta(seconds=1)

LOOKS = [
    # holder now, last seen now, known at the sweep, money in escrow, what follows
    ("a", SWEPT, SWEPT, FUNDED, Look.GO),
    ("a", FUNDED - SECOND, SWEPT, FUNDED, Look.RETURNED),
    ("a", FUNDED, SWEPT, FUNDED, Look.GO),
    ("a", FUNDED + SECOND, SWEPT, FUNDED, Look.GO),
    ("a", FUNDED - SECOND, None, FUNDED, Look.RETURNED),
    ("a", None, SWEPT, FUNDED, Look.WAIT),
    ("a", None, None, FUNDED, Look.GO),
    ("a", None, SWEPT, None, Look.GO),
    ("a", FUNDED - SECOND, SWEPT, None, Look.GO),
    ("b", SWEPT, SWEPT, FUNDED, Look.GONE),
    (None, SWEPT, SWEPT, FUNDED, Look.GONE),
    ("buyer", SWEPT, SWEPT, FUNDED, Look.THERE),
    ("buyer", None, SWEPT, None, Look.THERE),
]


@pytest.mark.parametrize(("holder", "seen", "known", "funded", "look"), LOOKS)
def test_a_holder_who_returned_before_the_money_wins(
    holder: str | None,
    seen: datetime | None,
    known: datetime | None,
    funded: datetime | None,
    look: Look,
) -> None:
    said = transfer.last_look(
        holder=holder,
        expected_holder="a",
        to="buyer",
        last_seen=seen,
        known_last_seen=known,
        funded_at=funded,
    )
    assert said is look


@pytest.mark.parametrize(
    ("holder", "look"), [("a", Look.LATE), ("buyer", Look.THERE), ("b", Look.GONE)]
)
def test_once_time_is_over_nothing_is_asked_for_any_more(holder: str, look: Look) -> None:
    said = transfer.last_look(
        holder=holder,
        expected_holder="a",
        to="buyer",
        last_seen=None,
        known_last_seen=SWEPT,
        funded_at=FUNDED,
        is_over=True,
    )
    assert said is look


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_only_steps_of_the_table_exist(before: State, after: State) -> None:
    row = Transfer("trf_1", "a", "b", "a", 1, before)
    if after in TRANSITIONS[before]:
        assert transfer.move(row, after).state is after
    else:
        with pytest.raises(AlreadyClosed):
            transfer.move(row, after)


def test_what_was_asked_for_is_never_abandoned() -> None:
    assert all(State.ABANDONED not in TRANSITIONS[s] for s in State if s is not State.PENDING)
    assert all(not TRANSITIONS[state] for state in FINAL)


OVER = FUNDED + timedelta(days=1)
DONE_BAR, OTHER_BAR = Bar(2, "a", True), Bar(2, "c", True)
READS = [
    # holder, state, answered at, bar, now, what follows
    ("b", State.DONE, FUNDED, None, FUNDED, Next.DELIVERED),
    ("b", State.REFUSED, FUNDED, None, OVER, Next.DELIVERED),
    ("b", State.DONE, FUNDED, DONE_BAR, OVER, Next.DELIVERED),
    ("a", State.REFUSED, FUNDED, None, FUNDED, Next.GIVE_UP),
    ("a", State.DONE, FUNDED, None, OVER - SECOND, Next.AGAIN),
    ("a", State.DONE, FUNDED, DONE_BAR, OVER - SECOND, Next.AGAIN),
    ("a", State.DONE, OVER - LAG + SECOND, None, OVER, Next.AGAIN),
    ("a", State.UNKNOWN, FUNDED, None, OVER, Next.AGAIN),
    ("a", State.SENT, FUNDED, DONE_BAR, OVER, Next.AGAIN),
    ("a", State.DONE, FUNDED, None, OVER, Next.BAR),
    ("a", State.DONE, FUNDED, Bar(2, "a", None), OVER, Next.AGAIN),
    ("a", State.DONE, FUNDED, Bar(2, "a", False), OVER, Next.BAR),
    ("a", State.DONE, FUNDED, OTHER_BAR, OVER, Next.BAR),
    (None, State.DONE, FUNDED, DONE_BAR, OVER, Next.BAR),
    (None, State.DONE, FUNDED, Bar(2, None, True), OVER, Next.GIVE_UP),
    ("a", State.DONE, FUNDED, DONE_BAR, OVER, Next.GIVE_UP),
]


@pytest.mark.parametrize(("holder", "state", "answered", "bar", "now", "follows"), READS)
def test_after_a_move_that_was_done_money_goes_back_only_behind_a_bar(
    holder: str | None,
    state: State,
    answered: datetime,
    bar: Bar | None,
    now: datetime,
    follows: Next,
) -> None:
    said = transfer.after_read_back(
        holder=holder,
        to="b",
        state=state,
        answered_at=answered,
        delivery_until=OVER,
        bar=bar,
        now=now,
    )
    assert said is follows


@pytest.mark.parametrize(
    ("vacated", "kept"), [(None, False), ("user_7", False), ("nadia", True), ("user_70", True)]
)
def test_an_account_keeps_the_handle_it_gives_up_unless_it_is_a_placeholder(
    vacated: str | None, kept: bool
) -> None:
    assert transfer.is_kept(vacated, placeholder="user_7") is kept
