"""What time it is on the market, and whether work is under way."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Max

from onym.store import clock
from onym.store.models import Event

LOOKED_AT = 20_000


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
    return clock.stepping()


@dataclass(frozen=True, slots=True)
class Happened:
    """How often a kind of event happened, and how many handles it was about, if it says so."""

    type: str
    times: int
    handles: int


def last_event() -> int:
    """The number of the latest event; 0 before the first."""
    return Event.objects.aggregate(last=Max("seq"))["last"] or 0


def happened(*, since: int) -> list[Happened]:
    """What was written down after event `since`, by kind; a wave over many handles says how many.

    At most `LOOKED_AT` events are looked at.
    """
    rows = Event.objects.filter(namespace_id=settings.NAMESPACE, seq__gt=since).order_by("seq")
    times: Counter[str] = Counter()
    handles: Counter[str] = Counter()
    for kind, entry in rows.values_list("type", "entry")[:LOOKED_AT]:
        count = json.loads(bytes(entry))["body"].get("count")
        times[kind] += 1
        handles[kind] += 1 if count is None else count
    return [Happened(kind, number, handles[kind]) for kind, number in times.most_common()]
