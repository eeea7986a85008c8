"""A sweep that the desk asked for, and when it may be asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from onym.core.errors import Malformed

FARTHEST = timedelta(days=3_660)


class State(StrEnum):
    """Running, or ended in one of two ways; neither leads back."""

    RUNNING = "running"
    DONE = "done"  # its counts are there
    FAILED = "failed"  # it was tried to the last and given up


def expect_as_of(as_of: datetime, *, dry_run: bool, now: datetime) -> None:
    """A sweep looks at today or back; a dry run may look ahead. Refuses `malformed`."""
    if as_of > now and not dry_run:
        raise Malformed("only a dry run may look ahead")
    if abs(as_of - now) > FARTHEST:
        raise Malformed("a sweep looks at most ten years back or ahead")
