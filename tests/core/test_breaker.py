"""The breaker as a state machine: whatever happens in whatever order, these things hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onym.core import breaker as core
from onym.core.breaker import FAULTS, LONGEST_PRESSURE, LONGEST_WAIT, Breaker, State

ACTS = st.tuples(
    st.sampled_from(["ask", "answered", "failed", "pressed"]),
    st.floats(min_value=0, max_value=120, allow_nan=False),
)


def opened(now: float = 0.0) -> Breaker:
    made = Breaker()
    for _ in range(FAULTS):
        made = core.failed(made, now)
    return made


def test_the_fifth_fault_in_a_row_opens_it_and_an_answer_between_begins_anew():
    made = Breaker()
    for _ in range(FAULTS - 1):
        made = core.failed(made, 0.0)
    assert made.state(0.0) is State.CLOSED
    assert core.failed(core.answered(made, 0.0), 0.0).state(0.0) is State.CLOSED
    assert core.failed(made, 0.0).state(0.0) is State.OPEN


def test_after_its_wait_exactly_one_may_ask_until_that_one_is_answered():
    made, may = opened(), []
    for _ in range(3):
        allowed, made = core.ask(made, 2.0)
        may.append(allowed)
    assert may == [True, False, False]
    closed = core.answered(made, 2.5)
    assert (closed, core.ask(closed, 2.5)[0]) == (Breaker(), True)


def test_each_bad_probe_doubles_the_wait_up_to_the_longest():
    made, now, waits = opened(), 0.0, []
    for _ in range(8):
        assert made.until is not None
        waits.append(made.until - now)
        now = made.until
        made = core.failed(core.ask(made, now)[1], now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_probe_that_nobody_heard_of_again_does_not_keep_it_shut():
    _, made = core.ask(opened(), 2.0)
    assert core.ask(made, 3.0)[0] is False
    assert core.ask(made, 2.0 + core.PROBE_SECONDS)[0] is True


def test_whoever_asked_before_it_opened_does_not_keep_it_open():
    made = opened()
    assert core.failed(made, 1.9) == core.answered(made, 1.9) == made
    assert core.failed(made, 1.9).state(2.0) is State.HALF_OPEN


def test_quiet_that_was_asked_for_is_kept_and_is_no_fault():
    made = core.pressed(Breaker(), 0.0, seconds=30)
    assert [core.ask(made, at)[0] for at in (0.0, 29.9, 30.0)] == [False, False, True]
    assert core.answered(made, 30.0) == Breaker()
    endless = core.pressed(Breaker(), 0.0, seconds=10**9)
    assert endless.until == LONGEST_PRESSURE


@given(acts=st.lists(ACTS, max_size=60))
def test_whatever_happens_it_asks_only_when_it_may_and_never_waits_for_ever(acts):
    made, now, faults_in_a_row = Breaker(), 0.0, 0
    for act, seconds in acts:
        now += seconds
        before = made.state(now)
        if act == "ask":
            may, made = core.ask(made, now)
            assert may is (before is State.CLOSED) or before is State.HALF_OPEN
            assert not core.ask(made, now)[0] or before is State.CLOSED  # one probe at a time
        elif act == "answered":
            made = core.answered(made, now)
            faults_in_a_row = 0 if before is not State.OPEN else faults_in_a_row
            assert made.state(now) is (State.OPEN if before is State.OPEN else State.CLOSED)
        elif act == "failed":
            made = core.failed(made, now)
            faults_in_a_row += before is not State.OPEN
            assert (
                made.state(now) is not State.OPEN
                or before is not State.CLOSED
                or (faults_in_a_row >= FAULTS)
            )
        else:
            made = core.pressed(made, now, seconds=seconds)
        longest = max(LONGEST_WAIT, LONGEST_PRESSURE)
        assert made.until is None or made.until <= now + longest
