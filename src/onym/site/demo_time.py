"""The demo's clock as its history uses it: begun in the past, stepped, and brought to today."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from onym.flows import clock
from onym.queries import clock as clocks

HOUR = 3_600
DAY = 24 * HOUR


def now() -> datetime:
    return clocks.now()


def begin(days: int) -> None:
    """The clock starts in the past; the platform's accounts were made for that day."""
    clock.begin(offset_seconds=-days * DAY)


def arrive() -> None:
    """Market time is the machine's from here on."""
    if now() < datetime.now(UTC):
        step((datetime.now(UTC) - now()).total_seconds())
    clock.begin(offset_seconds=0)


def step(seconds: float) -> None:
    """Let the jobs process walk through every deadline on the way."""
    target = clock.order_advance(seconds=int(seconds))
    until = time.monotonic() + 300
    while clocks.stepping():
        if time.monotonic() > until:
            raise SystemExit("the clock did not arrive; see DATA/log of the jobs process")
        time.sleep(0.02)
    if now() < target - timedelta(seconds=2):
        raise SystemExit("the clock stopped on its way")


def settle() -> None:
    """Wait until no job is under way."""
    until = time.monotonic() + 60
    while clocks.busy(but="clock.advance") and time.monotonic() < until:
        time.sleep(0.02)
