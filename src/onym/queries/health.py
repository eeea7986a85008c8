"""How the market is doing: facts for whoever watches over it, from rows alone.

Nothing here names a person, an address or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection

from onym.core.access import ALLOWED, Action
from onym.store.models import Document, Event, Namespace, StaffRole

KINDS = ("policy", "fees", "guidelines")


@dataclass(frozen=True, slots=True)
class Market:
    """A namespace as the operator set it up."""

    currency: str
    phase: str
    missing_documents: list[str]
    approvers: int


def market(namespace: str) -> Market | None:
    """None when nobody founded it."""
    row = Namespace.objects.filter(pk=namespace).first()
    if row is None:
        return None
    known = set(Document.objects.filter(namespace=row).values_list("kind", flat=True))
    roles = [role for role, actions in ALLOWED.items() if Action.APPROVE in actions]
    people = StaffRole.objects.filter(member__namespace=row, role__in=roles)
    return Market(
        currency=row.currency,
        phase=row.phase,
        missing_documents=[kind for kind in KINDS if kind not in known],
        approvers=people.values("member_id").distinct().count(),
    )


def leaves() -> int:
    """How many events have a place in the log."""
    return int(_one("select coalesce(max(leaf_index) + 1, 0) from store_event"))


def entry(leaf: int) -> bytes | None:
    """The bytes of a leaf, as the database has them."""
    found = Event.objects.filter(leaf_index=leaf).values_list("entry", flat=True).first()
    return bytes(found) if found is not None else None


def late(seconds: int) -> int:
    """How many events wait for their place longer than that, by the machine's clock."""
    waited = "select count(*) from store_event where leaf_index is null and written_at < %s"
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        (now,) = cursor.fetchone()
        cursor.execute(waited, [now - timedelta(seconds=seconds)])
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Jobs:
    """The queue: `heartbeat_seconds` since any worker was seen, None if none ever was."""

    heartbeat_seconds: float | None
    waiting: int
    oldest_seconds: float
    failed: int
    failed_task: str


def jobs() -> Jobs:
    """The state of the queue now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select (select extract(epoch from clock_timestamp() - max(last_heartbeat))
                    from procrastinate_workers),
                   count(*) filter (where is_due),
                   coalesce(extract(epoch from clock_timestamp() - min(since)
                                    filter (where is_due)), 0),
                   count(*) filter (where status = 'failed'),
                   coalesce((array_agg(task_name order by id desc)
                             filter (where status = 'failed'))[1], '')
            from (select id, task_name, status,
                         status = 'todo'
                         and coalesce(scheduled_at, '-infinity') <= clock_timestamp() as is_due,
                         coalesce(scheduled_at, (select min(at) from procrastinate_events e
                                                 where e.job_id = j.id)) as since
                  from procrastinate_jobs j where status in ('todo', 'failed')) as found
            """
        )
        seen, waiting, oldest, failed, task = cursor.fetchone()
    return Jobs(float(seen) if seen is not None else None, waiting, float(oldest), failed, task)


def _one(question: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return float(cursor.fetchone()[0])
