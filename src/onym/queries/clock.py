"""What time it is on the market, and whether work is under way."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from onym.store import clock


def now() -> datetime:
    """Market time."""
    return clock.now()


def busy(*, but: str) -> int:
    """Jobs that run or could run this instant, those of the task `but` apart."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select count(*) from procrastinate_jobs
            where task_name <> %s and (status = 'doing'
               or status = 'todo' and (scheduled_at is null or scheduled_at <= clock_timestamp()))
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
