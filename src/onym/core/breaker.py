"""Whether an outside that keeps failing is asked at all: closed, open, or one probe at a time.

Seconds are those of any clock that never goes back. docs/guides/platform.md says how long it waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

FAULTS = 5
"""Faults in a row that open it."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
"""Seconds that it stays open: doubled each time that the probe fails, too."""
LONGEST_PRESSURE = 600.0
"""The longest `Retry-After` that is heeded."""
PROBE_SECONDS = 60.0
"""After so long a probe that nobody heard of again is over."""


class State(StrEnum):
    """What is done with the next request."""

    CLOSED = "closed"  # it is asked
    OPEN = "open"  # nobody asks
    HALF_OPEN = "half_open"  # one asks, and the answer decides


@dataclass(frozen=True, slots=True)
class Breaker:
    """`faults` in a row, `trips` in a row, until when nobody asks, and since when one does."""

    faults: int = 0
    trips: int = 0
    until: float | None = None
    probed_at: float | None = None

    def state(self, now: float) -> State:
        """Follows from record and time."""
        if self.until is None:
            return State.CLOSED
        return State.OPEN if now < self.until else State.HALF_OPEN


def ask(breaker: Breaker, now: float) -> tuple[bool, Breaker]:
    """Whether to ask now. Of those who come while it is half open, the first is the probe."""
    state = breaker.state(now)
    if state is not State.HALF_OPEN:
        return state is State.CLOSED, breaker
    probing = breaker.probed_at is not None and now < breaker.probed_at + PROBE_SECONDS
    return not probing, breaker if probing else replace(breaker, probed_at=now)


def answered(breaker: Breaker, now: float) -> Breaker:
    """It said something, yes or no: closed, but for a late answer while it is open."""
    return breaker if breaker.state(now) is State.OPEN else Breaker()


def failed(breaker: Breaker, now: float) -> Breaker:
    """No answer, or that of something broken. The fifth in a row opens it; so does a bad probe."""
    state = breaker.state(now)
    if state is State.OPEN:
        return breaker
    faults = breaker.faults + 1
    if state is State.CLOSED and faults < FAULTS:
        return replace(breaker, faults=faults)
    wait = min(FIRST_WAIT * 2.0 ** min(breaker.trips, 10), LONGEST_WAIT)
    return Breaker(faults=faults, trips=breaker.trips + 1, until=now + wait)


def pressed(breaker: Breaker, now: float, *, seconds: float) -> Breaker:
    """It asked to be left alone for so long (`Retry-After`), which is no fault of its own."""
    until = now + min(max(seconds, 0.0), LONGEST_PRESSURE)
    return replace(breaker, until=max(until, breaker.until or until), probed_at=None)
