"""What happens to a whole part of a plan at once: one leaf and one file, not a row a handle.

Early or repeated calls do nothing. docs/concepts/reclaim.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.errors import NotFound
from onym.core.events import Event, instant
from onym.core.handle import State
from onym.flows import names, record, standing, waiting
from onym.store import clock, rowlocks
from onym.store import reclaim as store
from onym.store.models import Handle, Plan, PlanPart, Reclaim
from onym.sweep import outcome


def rest(*, part_id: int) -> None:
    """The deadline of a part has passed: its leaves say that its findings rest, or are retired."""
    with transaction.atomic():
        part = rowlocks.plan_part(part_id)
        now = clock.now()
        plan, place = part.plan.snapshot(), part.plan.namespace_id
        ends = plans.deadline(tuple(part.sent), notice_days=plan.notice_days, now=now)
        if part.rested_at or ends is None or now < ends or None in part.sent:
            return
        for handle in waiting.handles(place):
            names.touch(namespace=place, handle=handle)  # released by a look of its own
        left = [f for f in _untouched(part) if f.verdict in core.TAKEN]
        for type_, some in (
            ("Resting", [f for f in left if f.resting_days is not None]),
            ("Retired", [f for f in left if f.resting_days is None]),
        ):
            _log_bulk(type_, part, some, suffix="", at=now)
        part.rested_at = now
        part.save(update_fields=["rested_at"])


def release(*, part_id: int, resting_days: int) -> None:
    """What rested so long may be sold, outside the stop and under the cap: a leaf says so."""
    with transaction.atomic():
        found = PlanPart.objects.select_related("plan").filter(pk=part_id).first()
        if found is None:
            raise NotFound("no such part of a plan")
        rowlocks.namespace_shared(found.plan.namespace_id)
        part = rowlocks.plan_part(part_id)
        now = clock.now()
        plan, stops = part.plan.snapshot(), store.stops(part.plan.namespace_id)
        stands = core.state_of_part(
            part.snapshot(), resting_days=resting_days, plan=plan, stops=stops, now=now
        )
        if resting_days in part.released or stands.state is not State.RELEASED:
            return
        free = [f for f in _untouched(part) if f.resting_days == resting_days]
        _log_bulk("Released", part, free, suffix=f"-{resting_days}", at=now)
        part.released = [*part.released, resting_days]
        part.save(update_fields=["released"])


def _untouched(part: PlanPart) -> list[core.Finding]:
    """The findings of a part that this plan decides about and that have no process of their own."""
    plan = part.plan
    touched = Reclaim.objects.filter(plan=plan, bucket__gte=part.low, bucket__lt=part.high)
    own = set(touched.values_list("handle__handle", flat=True))
    return [finding for finding in members(part) if finding.handle not in own]


def members(part: PlanPart) -> list[core.Finding]:
    """The findings of a part whose holders this plan asks.

    Those that an older plan in use found without a break go on there; those that something else
    happened to are left out.
    """
    plan, made = part.plan, part.plan.snapshot()
    older = next((p for p in store.plans_of(plan.namespace_id) if p.as_of < plan.as_of), None)
    known = names.directory(plan.namespace_id)
    found = standing.findings(Path(plan.path), part.low, part.high)
    taken = [finding for finding in found if finding.verdict in core.TAKEN]
    rows = _rows(plan, [finding.handle for finding in taken])

    def is_member(finding: core.Finding) -> bool:
        account = known.by_handle(finding.handle) if known else None
        if standing.was_seen(account, plan):
            return False
        if account is not None and account["account_id"] != finding.account_id:
            return False
        row = rows.get(finding.handle)
        ended = _ended_at(row) if row else None
        if row is not None and _wins(row, finding, plan=made, ended_at=ended):
            return False
        return older is None or not _goes_on(finding, older, ended_at=ended)

    return [finding for finding in taken if is_member(finding)]


def _rows(plan: Plan, handles: Sequence[str]) -> dict[str, Handle]:
    rows = Handle.objects.filter(namespace_id=plan.namespace_id, handle__in=handles)
    return {row.handle: row for row in rows.prefetch_related("reclaim_set")}


def _ended_at(row: Handle) -> datetime | None:
    ends = [row.changed_hands_at, *(process.ended_at for process in _processes(row))]
    return max((at for at in ends if at is not None), default=None)


def _processes(row: Handle) -> Sequence[Reclaim]:
    return list(row.reclaim_set.all())


def _wins(
    row: Handle, finding: core.Finding, *, plan: plans.Plan, ended_at: datetime | None
) -> bool:
    """Whether the row says something else than the plan would."""
    own = next((p for p in _processes(row) if p.plan_id == plan.id), None)
    if own is not None:
        return not core.is_open(own.snapshot(), row.snapshot())
    return not core.is_subject(row.snapshot(), finding=finding, plan=plan, last_ended_at=ended_at)


def _goes_on(finding: core.Finding, older: Plan, *, ended_at: datetime | None) -> bool:
    before = standing.finding_in(older, finding.handle)
    found = before is not None and before.verdict in core.TAKEN
    same = before is not None and before.account_id == finding.account_id
    return found and same and core.is_younger(older.snapshot(), ended_at)


def _log_bulk(
    type_: str, part: PlanPart, findings: Sequence[core.Finding], *, suffix: str, at: datetime
) -> None:
    if not findings:
        return
    fates = [outcome.Fate(finding.handle, finding.account_id) for finding in findings]
    written = outcome.write(path_of(part, f"{type_.lower()}{suffix}"), fates)
    log_file(type_, part, written, ref=f"{type_.lower()}{suffix}", at=at)


def path_of(part: PlanPart, name: str) -> Path:
    """Where a plan's files lie: DATA/namespaces/<namespace>/plans/<plan>/."""
    folder = Path(settings.DATA) / "namespaces" / part.plan.namespace_id / "plans" / part.plan_id
    return folder / f"{part.low:04d}-{name}.parquet"


def log_file(
    type_: str,
    part: PlanPart,
    written: outcome.Written,
    *,
    ref: str,
    at: datetime,
    deadline_at: datetime | None = None,
) -> None:
    """One leaf for a whole part: count, root over its rows, the file's hash."""
    body: dict[str, Any] = {
        "count": written.count,
        "root": written.root,
        "sha256": written.sha256,
        "policy": part.plan.policy_ref,
        "sweep": part.plan_id,
        "stage": part.stage,
        "as_of": instant(part.plan.as_of),
    }
    if deadline_at is not None:
        body["deadline"] = instant(deadline_at)
    if part.plan.approval_id:
        body["approval"] = part.plan.approval_id
    event = Event(type_, f"{part.plan_id}/{part.low:04d}/{ref}", body)
    record.log(event, namespace=part.plan.namespace_id, at=at)
