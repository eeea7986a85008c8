"""The demo's clock: moved forward one deadline at a time, never back, refused in production."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction

from onym.core.errors import InProgress, Malformed, NotFound
from onym.flows import record
from onym.store import clock, rowlocks
from onym.store.models import DemoClock

MOST_SECONDS = 400 * 86_400
STEPS_DAYS = (1, 10, 30)


def expect_demo() -> None:
    """Outside the demo there is no such thing as another clock."""
    if not settings.DEMO:
        raise NotFound("there is no such thing")


def order_advance(*, seconds: int) -> datetime:
    """Order the clock to step `seconds` ahead; answers the instant it will then show."""
    expect_demo()
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not seconds >= 0:
        raise Malformed("advance_seconds is a whole number of seconds, 0 or more")
    if seconds > MOST_SECONDS:
        raise Malformed("the clock steps at most 400 days at once")
    with transaction.atomic():
        target = clock.now() + timedelta(seconds=seconds)
        record.defer("clock.advance", lock="demo-clock", target=target.isoformat())
        return target


def order_steps(*, days: int) -> datetime:
    """The same for anybody in the demo: by 1, 10 or 30 days, one at a time.

    Refuses `not_found` in production, `malformed`, `in_progress` while the clock is on its way.
    """
    expect_demo()
    if days not in STEPS_DAYS:
        raise Malformed(f"the clock steps {', '.join(map(str, STEPS_DAYS))} days ahead")
    with transaction.atomic():
        rowlocks.demo_clock()
        if clock.stepping():
            raise InProgress("the clock is on its way already")
        return order_advance(seconds=days * 86_400)


def set_ahead(*, to: datetime) -> datetime:
    """Let market time be at least `to`; the outside world reads the same offset from its file."""
    expect_demo()
    with transaction.atomic():
        row = rowlocks.demo_clock()
        ahead = (to - clock.now()).total_seconds()
        if ahead > 0:
            row.offset_seconds += -int(-ahead // 1)
            row.save(update_fields=["offset_seconds"])
        if settings.DEMO_CLOCK_FILE:
            _write(Path(settings.DEMO_CLOCK_FILE), row.offset_seconds)
    return clock.now()


def begin(*, offset_seconds: int) -> None:
    """Where the demo's market time starts, before anything has happened; 0 is today."""
    expect_demo()
    with transaction.atomic():
        DemoClock.objects.update_or_create(pk=1, defaults={"offset_seconds": offset_seconds})
        if settings.DEMO_CLOCK_FILE:
            _write(Path(settings.DEMO_CLOCK_FILE), offset_seconds)


def _write(path: Path, offset_seconds: int) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(str(offset_seconds))
    fresh.replace(path)
