"""Where a handle stands, touched or not: the row wins, then the lists, then plan and directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.errors import NotFound
from onym.core.handle import State
from onym.core.names import canon
from onym.core.policy import Outcome
from onym.store import clock
from onym.store import reclaim as store
from onym.store.models import (
    DirectoryImport,
    Handle,
    ListEntry,
    Namespace,
    Plan,
    Reclaim,
)
from onym.sweep import directory as directories
from onym.sweep import stock as stocks

LISTS = {
    "prohibited": State.PROHIBITED,
    "retired": State.RETIRED,
    "protected": State.PROTECTED,
    "reserved": State.RESERVED,
}
"""The operator's lists, strongest first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A handle as anybody may see it: its standing, whose it is, and what decides about it."""

    handle: str
    standing: core.Standing
    row: Handle | None = None
    account: Mapping[str, Any] | None = None
    plan: Plan | None = None
    finding: core.Finding | None = None
    process: Reclaim | None = None


def seen(*, namespace: str, handle: str, now: datetime | None = None) -> Seen:
    """Where a handle stands, touched or not: the row wins, then the lists, then plan and directory.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    place = Namespace.objects.filter(pk=namespace).first()
    if place is None:
        raise NotFound("no such namespace")
    canonical = canon(handle, place.profile)
    at = now or clock.now()
    row = Handle.objects.filter(namespace_id=namespace, handle=canonical).first()
    account = _account(namespace, canonical)
    if row is not None:
        return _of_row(row, account, now=at)
    return _untouched(namespace, canonical, account, now=at)


def _account(namespace: str, canonical: str) -> Mapping[str, Any] | None:
    known = _directory(namespace)
    return known.by_handle(canonical) if known else None


def _directory(namespace: str) -> directories.Directory | None:
    row = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id").first()
    return directories.cached(Path(row.path)) if row else None


def _untouched(
    namespace: str, canonical: str, account: Mapping[str, Any] | None, *, now: datetime
) -> Seen:
    state = listed(namespace, canonical)
    if state is not None:
        return Seen(canonical, core.Standing(state), account=account)
    if account is None:
        return Seen(canonical, core.Standing(State.FREE))
    governs = _governing(namespace, canonical, ended=None)
    if governs is None or not _applies(governs, account):
        return Seen(canonical, core.HELD, account=account)
    plan, finding = governs
    stands = core.state(finding, plan=plan.snapshot(), stops=store.stops(namespace), now=now)
    return Seen(canonical, stands, account=account, plan=plan, finding=finding)


def listed(namespace: str, canonical: str) -> State | None:
    """The state that the strongest of the operator's lists gives the handle."""
    entries = ListEntry.objects.filter(namespace_id=namespace, handle=canonical)
    found = set(entries.values_list("list", flat=True))
    return next((state for name, state in LISTS.items() if name in found), None)


def _governing(
    namespace: str, canonical: str, *, ended: datetime | None
) -> tuple[Plan, core.Finding] | None:
    rows = {plan.id: plan for plan in store.plans_of(namespace)}

    def found() -> Iterator[tuple[plans.Plan, core.Finding | None]]:
        for plan in rows.values():
            made = plan.snapshot()
            yield made, finding_in(plan, canonical) if core.is_younger(made, ended) else None

    decides = core.governing(found())
    return (rows[decides[0].id], decides[1]) if decides else None


def finding_in(plan: Plan, canonical: str) -> core.Finding | None:
    """What the plan's sweep found; None: the account was left alone."""
    stock = stocks.cached(Path(plan.path))
    row = stock.finding(canonical)
    if row is None:
        return None
    return core.Finding(
        handle=canonical,
        bucket=stock.bucket(canonical),
        account_id=row["account_id"],
        verdict=Outcome(row["verdict"]),
        reasons=tuple(row["reasons"] or ()),
        resting_days=row["resting_days"],
    )


def _applies(governs: tuple[Plan, core.Finding], account: Mapping[str, Any] | None) -> bool:
    """Not once an import shows another holder, or a sign of life newer than the sweep."""
    plan, finding = governs
    if account is None:
        return True
    sign = core.last_sign(account)
    return account["account_id"] == finding.account_id and not (sign and sign > plan.as_of)


def _of_row(row: Handle, account: Mapping[str, Any] | None, *, now: datetime) -> Seen:
    process = store.open_process(row)
    if process is not None and core.is_open(process.snapshot(), row.snapshot()):
        finding = process.finding()
        stands = core.standing(
            process.snapshot(),
            finding=finding,
            plan=process.plan.snapshot(),
            stops=store.stops(row.namespace_id),
            appeal_open=row.appeal_open,
            now=now,
        )
        shown = row.locked_by is not None
        stands = core.Standing(State(row.state)) if shown else stands
        return Seen(row.handle, stands, row, account, process.plan, finding, process)
    plain = Seen(row.handle, core.Standing(State(row.state)), row, account)
    if process is not None or row.state != State.HELD or hasattr(row, "saleslot"):
        return plain
    ended = store.last_ended_at(row)
    governs = _governing(row.namespace_id, row.handle, ended=ended)
    if governs is None or not _applies(governs, account):
        return plain
    plan, finding = governs
    made = plan.snapshot()
    if not core.is_subject(row.snapshot(), finding=finding, plan=made, last_ended_at=ended):
        return plain
    stands = core.state(finding, plan=made, stops=store.stops(row.namespace_id), now=now)
    return Seen(row.handle, stands, row, account, plan, finding)
