"""Seeded bugs of the breakers, planted from outside; each is seen in test_breaker_controls.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from onym.core import breaker as core
from onym.core.breaker import Breaker, State
from onym.ports import breaker as ports
from onym.ports.platform import Answer, Outcome


def it_never_opens(patch: pytest.MonkeyPatch) -> None:
    """Faults are counted, and nothing follows."""
    patch.setattr(core, "failed", lambda made, now: replace(made, faults=made.faults + 1))


def it_never_closes(patch: pytest.MonkeyPatch) -> None:
    """The probe is answered, and nobody takes notice."""
    patch.setattr(core, "answered", lambda made, now: made)


def an_answer_between_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Five faults in a year open it."""
    real = core.answered
    patch.setattr(core, "answered", lambda made, now: made if not made.trips else real(made, now))


def all_ask_while_it_is_half_open(patch: pytest.MonkeyPatch) -> None:
    """Whoever is on its feet again is run over."""
    patch.setattr(core, "ask", lambda made, now: (made.state(now) is not State.OPEN, made))


def a_lost_probe_keeps_it_shut(patch: pytest.MonkeyPatch) -> None:
    """The one who asked was killed, and nobody else ever may."""

    def ask(made: Breaker, now: float) -> tuple[bool, Breaker]:
        if made.state(now) is not State.HALF_OPEN:
            return made.state(now) is State.CLOSED, made
        return made.probed_at is None, replace(made, probed_at=now)

    patch.setattr(core, "ask", ask)


def each_late_fault_begins_the_wait_anew(patch: pytest.MonkeyPatch) -> None:
    """Those who asked before it opened keep it open."""

    def failed(made: Breaker, now: float) -> Breaker:
        return (
            Breaker(made.faults + 1, made.trips + 1, until=now + 2)
            if made.until
            else first(made, now)
        )

    first = core.failed
    patch.setattr(core, "failed", failed)


def the_wait_grows_for_ever(patch: pytest.MonkeyPatch) -> None:
    """After a bad night it is left alone for days."""
    patch.setattr(core, "LONGEST_WAIT", float("inf"))


def quiet_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    """`Retry-After` is read and thrown away."""
    patch.setattr(core, "pressed", lambda made, now, seconds: made)


def refusals_count_as_faults(patch: pytest.MonkeyPatch) -> None:
    """A platform that says no five times is left alone."""

    def hear(answer: Any, **_: Any) -> ports.Heard:
        return ports.Heard(fault=isinstance(answer, Outcome) and not answer.done)

    patch.setattr(ports, "hear", hear)


def no_answer_counts_as_an_answer(patch: pytest.MonkeyPatch) -> None:
    """Unknown outcomes are taken for good ones."""
    patch.setattr(ports, "hear", lambda answer, **_: ports.Heard(fault=False))


def what_was_not_asked_counts_as_refused(patch: pytest.MonkeyPatch) -> None:
    """A move that nobody asked for is given up, while the one before may be under way."""
    refused = Outcome(Answer.REFUSED, "not_asked")
    patch.setattr(ports, "shut_platform", lambda name, asked: refused)
