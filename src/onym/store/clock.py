"""The one clock: the database's, plus the demo's offset; a flow reads it after its row lock."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, DateTimeField
from django.db.models.expressions import RawSQL

OFFSET = "coalesce((select offset_seconds from store_democlock where id = 1), 0)"
INSTANT = f"clock_timestamp() + {OFFSET} * interval '1 second'"


class OffsetInProduction(Exception):
    """A clock offset was found outside the demo: a fault, never answered over."""


def machine() -> datetime:
    """The machine's clock, which the demo never moves: codes, sessions, second factors."""
    return datetime.now(UTC)


def now() -> datetime:
    """The instant of the market, UTC in microseconds; outside the demo an offset is a fault."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {INSTANT}, {OFFSET}")
        return read(*cursor.fetchone())


def columns() -> dict[str, RawSQL]:
    """The clock as columns `clock_instant` and `clock_offset` of a query that asks for more."""
    return {
        "clock_instant": RawSQL(f"({INSTANT})", (), DateTimeField()),  # noqa: S611 # nosec B611 - ours
        "clock_offset": RawSQL(f"({OFFSET})", (), BigIntegerField()),  # noqa: S611 # nosec B611 - ours
    }


def read(instant: datetime, offset: int) -> datetime:
    """What the two columns say, by the same rule as `now`."""
    if offset and not settings.DEMO:
        raise OffsetInProduction("the clock has an offset, but this is not the demo")
    return instant.astimezone(UTC)


def stepping() -> bool:
    """Whether the demo's clock is on its way to an instant that somebody asked for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select 1 from procrastinate_jobs "
            "where task_name = 'clock.advance' and status in ('todo', 'doing'))"
        )
        found: bool = cursor.fetchone()[0]
        return found
