"""The audit: every invariant of the market, checked in one snapshot while it runs.

Each check rests on rows alone, never on the code that wrote them. docs/concepts/audit.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from onym.queries import audit_handles, audit_ledger, audit_log


class Verdict(StrEnum):
    """What was found of one invariant."""

    OK = "ok"
    VIOLATED = "violated"
    NO_SUBJECT = "no subject"  # nothing exists yet that it could be broken by


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: how many rows break it, and the first of them in words."""

    id: str
    promise: str
    verdict: Verdict
    rows: int = 0
    first: str = ""

    def __str__(self) -> str:
        if self.verdict is Verdict.VIOLATED:
            return f"{self.id} VIOLATED {self.rows} rows, first: {self.first}"
        return f"{self.id} {self.verdict}: {self.promise}"


NO_SUBJECT = {
    "L5": audit_ledger.WALLETS,
    "H7": "no list was changed yet",
    **dict.fromkeys(("A1", "A2", "A3", "A4", "A5", "A6", "A7"), "there are no auctions yet"),
    "D1": "there are no drops yet",
}
ORDER = [
    *(f"L{n}" for n in range(1, 11)),
    *(f"H{n}" for n in range(1, 10)),
    *(f"A{n}" for n in range(1, 8)),
    *("O1", "D1"),
    *(f"T{n}" for n in range(1, 7)),
    *("Q1", "Q2", "Q3"),
]


def run() -> list[Check]:
    """Every invariant in order, in one read-only snapshot that blocks nobody.

    The log's checkpoint is read first: its leaves had their places before it was signed, so the
    snapshot knows all of them, however far the integrator gets meanwhile. Must not be called
    inside a transaction: the snapshot is a transaction of its own.
    """
    published = audit_log.published(Path(settings.DATA) / "log")
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read read only")
        return _look(published)


def look() -> list[Check]:
    """The same in whatever transaction the caller is in, seeing what that one sees."""
    return _look(audit_log.published(Path(settings.DATA) / "log"))


def _look(published: audit_log.Published) -> list[Check]:
    found = {id_: _ask(id_, promise, sql) for id_, promise, sql in _queries()}
    for id_, promise, broken in audit_log.checks(published):
        found[id_] = _check(id_, promise, list(broken))
    found["H7"] = _two_people()
    if _there_is(audit_ledger.HELD):
        found["L5"] = _ask(*audit_ledger.HOLDS)
    for id_, why in NO_SUBJECT.items():
        found.setdefault(id_, Check(id_, why, Verdict.NO_SUBJECT))
    return [found[id_] for id_ in ORDER]


def _queries() -> Iterable[tuple[str, str, str]]:
    return (*audit_ledger.CHECKS, *audit_handles.CHECKS)


def _ask(id_: str, promise: str, sql: str) -> Check:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*), min(what) from ({sql}) as broken(what)", [])  # noqa: S608
        rows, first = cursor.fetchone()
    return _judge(id_, promise, rows, first or "")


def _check(id_: str, promise: str, broken: list[str]) -> Check:
    return _judge(id_, promise, len(broken), broken[0] if broken else "")


def _judge(id_: str, promise: str, rows: int, first: str) -> Check:
    return Check(id_, promise, Verdict.VIOLATED if rows else Verdict.OK, rows, first)


_LISTS = "exists (select from store_event where type = 'ProtectedListChanged')"
_ALONE = """
select e.ref || ' changed a list without two people' from store_event e
where e.type = 'ProtectedListChanged' and not exists (
    select from store_approval a
    where a.id = convert_from(e.entry, 'UTF8')::jsonb #>> '{body,approval}'
      and a.state = 'approved' and a.approved_by_id <> a.proposed_by_id)
"""


def _there_is(subject: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"select {subject}")
        return bool(cursor.fetchone()[0])


def _two_people() -> Check:
    if not _there_is(_LISTS):
        return Check("H7", NO_SUBJECT["H7"], Verdict.NO_SUBJECT)
    return _ask("H7", "lists are changed by two people", _ALONE)
