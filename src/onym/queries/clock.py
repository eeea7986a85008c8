"""What time it is on the market, and whether work is under way."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from onym.store import clock


def now() -> datetime:
    """Market time."""
    return clock.now()


def busy(*, but: str) -> int:
    """Jobs that run or are about to, those of the task `but` apart.

    Work that is tried again within seconds is under way: time must not run past it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select count(*) from procrastinate_jobs
            where task_name <> %s and (status = 'doing'
               or status = 'todo' and coalesce(scheduled_at, clock_timestamp())
                                      <= clock_timestamp() + interval '5 seconds')
            """,
            [but],
        )
        found: int = cursor.fetchone()[0]
        return found


def stepping() -> bool:
    """Whether the demo's clock is on its way to an instant that somebody asked for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select 1 from procrastinate_jobs "
            "where task_name = 'clock.advance' and status in ('todo', 'doing'))"
        )
        found: bool = cursor.fetchone()[0]
        return found
