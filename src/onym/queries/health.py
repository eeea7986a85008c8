"""How the market is doing: facts for whoever watches over it, from rows alone.

Nothing here names a person, an address or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import InvalidTag
from django.db import OperationalError, connection

from onym.core.access import ALLOWED, Action
from onym.core.area import Area
from onym.store import area, clock
from onym.store.models import (
    DirectoryImport,
    Document,
    Event,
    MailAddress,
    Namespace,
    StaffRole,
)

KINDS = ("policy", "fees", "guidelines")
TAKES_NO_WRITES = "25006"  # read_only_sql_transaction


def is_away(error: BaseException) -> bool:
    """Whether the database is to blame: it does not answer, or takes no writes, as a standby does
    and a primary that was just replaced."""
    takes_no_writes = getattr(error.__cause__, "sqlstate", "") == TAKES_NO_WRITES
    return isinstance(error, OperationalError) or takes_no_writes


@dataclass(frozen=True, slots=True)
class Market:
    """A namespace as the operator set it up."""

    currency: str
    phase: str
    missing_documents: list[str]
    approvers: int
    custodian: str


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
        custodian=row.custodian_account_id,
    )


def opens_addresses() -> bool:
    """Whether the field key opens the oldest and the newest address that is kept."""
    rows = MailAddress.objects.order_by("pk")
    try:
        return all(row.address for row in (rows.first(), rows.last()) if row)
    except InvalidTag:
        return False


def directory_age(namespace: str) -> timedelta | None:
    """Since when the directory in use is; None when there is none."""
    rows = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
    last = rows.values_list("at", flat=True).first()
    return clock.now() - last if last else None


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


@dataclass(frozen=True, slots=True)
class Log:
    """The log: leaves with a place, events that wait for one, and for how long the oldest does."""

    leaves: int
    waiting: int
    oldest_seconds: float


def log() -> Log:
    """How far the log is behind the market, by the machine's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), coalesce(extract(epoch from clock_timestamp() - min(written_at)), 0)"
            " from store_event where leaf_index is null"
        )
        waiting, oldest = cursor.fetchone()
    return Log(leaves(), waiting, float(oldest))


UNKNOWN = """
select kind, count(*), coalesce(max(extract(epoch from %(now)s::timestamptz - at)), 0) from (
    select kind, coalesce(answered_at, made_at) as at from store_payment where state = 'unknown'
    union all select 'deposit', coalesce(answered_at, made_at) from store_deposit
              where state = 'unknown'
    union all select 'payout', coalesce(answered_at, due_at) from store_payout
              where state = 'unknown'
    union all select 'transfer', coalesce(answered_at, started_at) from store_transfer
              where state = 'unknown'
    union all select 'notice', coalesce(answered_at, made_at) from store_notice
              where state = 'unknown'
) as found(kind, at) group by kind
"""


OUTSIDE = ("charge", "deposit", "refund", "payout", "transfer", "notice")


def unknown() -> dict[str, tuple[int, float]]:
    """What was asked of the outside and has no answer: kind → (how many, age of the oldest)."""
    found = dict.fromkeys(OUTSIDE, (0, 0.0))
    with connection.cursor() as cursor:
        cursor.execute(UNKNOWN, {"now": clock.now()})
        return found | {kind: (count, float(age)) for kind, count, age in cursor.fetchall()}


Labelled = dict[tuple[str, ...], float]
Figures = dict[str, tuple[str, tuple[str, ...], Labelled]]


def figures(namespace: str) -> Figures:
    """Every gauge that rows give: name → (meaning, labels, values)."""
    queue, written, unknowns = jobs(), log(), unknown()
    row = Namespace.objects.filter(pk=namespace).first()
    halted = area.stopped(namespace)
    age = directory_age(namespace)
    return {
        "onym_jobs_waiting": ("Jobs that could run now", ("task",), _grouped(WAITING)),
        "onym_jobs_oldest_seconds": _alone("Age of the oldest of them", queue.oldest_seconds),
        "onym_jobs_failed": _alone("Jobs that gave up", queue.failed),
        "onym_jobs_heartbeat_seconds": _alone(
            "Since a worker was seen; -1: never",
            -1 if queue.heartbeat_seconds is None else queue.heartbeat_seconds,
        ),
        "onym_sales": ("Sales by state", ("state",), _grouped(SALES)),
        "onym_unknown": ("Asked outside, not answered", ("kind",), _first(unknowns, 0)),
        "onym_unknown_oldest_seconds": ("Age of the oldest", ("kind",), _first(unknowns, 1)),
        "onym_ledger_minor": ("Sum of postings", ("account", "currency"), _grouped(LEDGER)),
        "onym_log_leaves": _alone("Leaves with a place", written.leaves),
        "onym_log_waiting": _alone("Events without one", written.waiting),
        "onym_log_lag_seconds": _alone("Age of the oldest of them", written.oldest_seconds),
        "onym_directory_seconds": _alone(
            "Age of the directory in use; -1: none", age.total_seconds() if age else -1
        ),
        "onym_release_stop": _alone("1 while it is on", bool(row and row.release_stop)),
        "onym_area_stopped": (
            "1 while the area is stopped",
            ("area",),
            {(one.value,): float(one in halted) for one in Area},
        ),
    }


WAITING = """
select task_name, count(*) from procrastinate_jobs
where status = 'todo' and coalesce(scheduled_at, '-infinity') <= clock_timestamp() group by 1
"""
SALES = "select state, count(*) from store_sale group by 1"
LEDGER = """
select split_part(a.code, ':', 1), a.currency, coalesce(sum(p.minor), 0)
from store_bookaccount a left join store_posting p on p.account_id = a.id group by 1, 2
"""


def _grouped(question: str) -> Labelled:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return {tuple(map(str, row[:-1])): float(row[-1]) for row in cursor.fetchall()}


def _alone(words: str, value: float) -> tuple[str, tuple[str, ...], Labelled]:
    return words, (), {(): float(value)}


def _first(found: dict[str, tuple[int, float]], place: int) -> Labelled:
    return {(kind,): float(pair[place]) for kind, pair in found.items()}


def _one(question: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return float(cursor.fetchone()[0])
