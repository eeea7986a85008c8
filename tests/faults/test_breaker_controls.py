"""Controls of the breakers: each seeded bug turns its check red, and without it the check is green.

The checks are the tests of the breaker itself and, where it guards something, those below.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.core import test_breaker as core
from tests.faults import bugs_breaker as bugs

from onym.core.breaker import FAULTS, State
from onym.ports import breaker as ports
from onym.ports.platform import Answer, Outcome

Check = Callable[[], None]


class Moves:
    """An outside that answers each move the same, and counts them."""

    def __init__(self, answer: Outcome) -> None:
        self.answer, self.asked = answer, 0

    def move(self) -> Outcome:
        self.asked += 1
        return self.answer


def asked(answer: Outcome) -> tuple[Moves, ports.Gate, list[Outcome]]:
    """What came of twice as many moves as there may be faults."""
    outside, gate = Moves(answer), ports.Gate("platform", clock=lambda: 0.0)
    guarded = ports.Guarded(outside, gate=gate, shut=ports.shut_platform)
    return outside, gate, [guarded.move() for _ in range(2 * FAULTS)]


def a_platform_that_says_no_is_asked_again() -> None:
    outside, gate, _ = asked(Outcome(Answer.REFUSED, "stale"))
    assert (gate.state(), outside.asked) == (State.CLOSED, 2 * FAULTS)


def a_platform_that_says_nothing_is_left_alone() -> None:
    outside, gate, _ = asked(Outcome(Answer.UNKNOWN, "no_answer"))
    assert (gate.state(), outside.asked) == (State.OPEN, FAULTS)


def what_nobody_asked_for_is_unknown() -> None:
    _, _, answers = asked(Outcome(Answer.UNKNOWN, "no_answer"))
    assert {one.answer for one in answers} == {Answer.UNKNOWN}
    assert answers[-1].code == ports.NOT_ASKED


BUGS: list[tuple[Callable[[pytest.MonkeyPatch], None], Check]] = [
    (
        bugs.it_never_opens,
        core.test_the_fifth_fault_in_a_row_opens_it_and_an_answer_between_begins_anew,
    ),
    (
        bugs.an_answer_between_is_forgotten,
        core.test_the_fifth_fault_in_a_row_opens_it_and_an_answer_between_begins_anew,
    ),
    (
        bugs.it_never_closes,
        core.test_after_its_wait_exactly_one_may_ask_until_that_one_is_answered,
    ),
    (
        bugs.all_ask_while_it_is_half_open,
        core.test_after_its_wait_exactly_one_may_ask_until_that_one_is_answered,
    ),
    (
        bugs.a_lost_probe_keeps_it_shut,
        core.test_a_probe_that_nobody_heard_of_again_does_not_keep_it_shut,
    ),
    (
        bugs.each_late_fault_begins_the_wait_anew,
        core.test_whoever_asked_before_it_opened_does_not_keep_it_open,
    ),
    (bugs.the_wait_grows_for_ever, core.test_each_bad_probe_doubles_the_wait_up_to_the_longest),
    (bugs.quiet_is_not_kept, core.test_quiet_that_was_asked_for_is_kept_and_is_no_fault),
    (bugs.refusals_count_as_faults, a_platform_that_says_no_is_asked_again),
    (bugs.no_answer_counts_as_an_answer, a_platform_that_says_nothing_is_left_alone),
    (bugs.what_was_not_asked_counts_as_refused, what_nobody_asked_for_is_unknown),
]


@pytest.mark.parametrize("check", list({check: None for _, check in BUGS}))
def test_a_check_is_green_without_a_bug(check: Check) -> None:
    check()


@pytest.mark.parametrize(("bug", "check"), BUGS)
def test_a_seeded_bug_turns_its_check_red(
    bug: Callable[[pytest.MonkeyPatch], None], check: Check
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        with pytest.raises(AssertionError):
            check()
