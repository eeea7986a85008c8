"""What plan and time say of a handle, written down when its row is touched.

A late job never makes an answer wrong: whoever touches a handle sees the state that is true now.
docs/concepts/reclaim.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from onym.core import handle as handles
from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.events import Event, instant
from onym.core.handle import State
from onym.core.plan import DAY
from onym.core.policy import Outcome
from onym.flows import record, waiting
from onym.store import reclaim as store
from onym.store.models import Handle, Plan, Reclaim
from onym.sweep import stock as stocks

EVENTS = {
    State.WARNED: "HandleWarned",
    State.RESTING: "Resting",
    State.RELEASED: "Released",
    State.RETIRED: "Retired",
}

Account = Mapping[str, Any]
"""A row of the directory."""


def finding_in(plan: Plan, canonical: str) -> core.Finding | None:
    """What the plan's sweep found about a handle; None: its account was left alone."""
    stock = stocks.cached(Path(plan.path))
    row = stock.finding(canonical)
    return finding_of(row, bucket=stock.bucket(canonical)) if row else None


def findings(path: Path, low: int = 0, high: int = plans.BUCKETS) -> Iterator[core.Finding]:
    """What a sweep found in some buckets, in the stock's order."""
    stock = stocks.cached(path)
    for row in stock.slice(low, high):
        yield finding_of(row, bucket=stock.bucket(row["canonical"]))


def finding_of(row: Mapping[str, Any], *, bucket: int) -> core.Finding:
    """A stock's finding as a core value."""
    return core.Finding(
        handle=row["canonical"],
        bucket=bucket,
        account_id=row["account_id"],
        verdict=Outcome(row["verdict"]),
        reasons=tuple(row["reasons"] or ()),
        resting_days=row["resting_days"],
    )


def governing(row: Handle) -> tuple[Plan, core.Finding] | None:
    """The plan that decides about a row, and what its sweep found: none that the holder's last
    keep, return or change of hands is too young for.
    """
    rows = {plan.id: plan for plan in store.plans_of(row.namespace_id)}
    ended = store.last_ended_at(row) if rows else None

    def found() -> Iterator[tuple[plans.Plan, core.Finding | None]]:
        for plan in rows.values():
            made = plan.snapshot()
            yield made, finding_in(plan, row.handle) if core.is_younger(made, ended) else None

    decides = core.governing(found())
    return (rows[decides[0].id], decides[1]) if decides else None


def refresh(row: Handle, *, account: Account | None, now: datetime) -> None:
    """Bring a locked row up to date with its process, or with the plan that decides about it.

    `account` is the directory's row of the handle now: an import that shows a sign of life newer
    than the sweep gives the handle back.
    """
    process = store.open_process(row)
    if process is not None and not core.is_open(process.snapshot(), row.snapshot()):
        _overtaken(process, row=row, now=now)
        return
    if process is None:
        process = _begin(row, account=account, now=now)
    if process is not None and row.locked_by is None:
        if not (was_seen(account, process.plan) and _still_holds(account, row)):
            advance(row, process, now=now)
        elif row.state == State.RELEASED:  # it may be on the market, which a flow must close
            Reclaim.objects.filter(pk=process.pk).update(next_at=now)
        else:
            give_back(row, process, ending=None, how="directory", now=now)


def was_seen(account: Account | None, plan: Plan) -> bool:
    """Whether the directory knows a sign of life that the plan's sweep could not know."""
    seen = core.last_sign(account) if account else None
    return seen is not None and seen > plan.as_of


def _still_holds(account: Account | None, row: Handle) -> bool:
    return account is not None and account["account_id"] == row.account_id


def swept_at(row: Handle, account_id: str | None) -> datetime | None:
    """When the sweep looked that the account is losing this handle by; None: by none."""
    rows = Reclaim.objects.filter(handle=row, account_id=account_id)
    return rows.order_by("-pk").values_list("plan__as_of", flat=True).first()


def _overtaken(process: Reclaim, *, row: Handle, now: datetime) -> None:
    """Somebody else changed the row; what they wrote wins, and the process is over."""
    gone = process.account_id != row.account_id
    process.ending = core.Ending.GONE if gone else core.Ending.RETURNED
    process.ended_at, process.next_at = now, None
    process.save()


def _begin(row: Handle, *, account: Account | None, now: datetime) -> Reclaim | None:
    """The process of a handle that is touched while a plan decides about it."""
    if row.state != State.HELD or row.locked_by is not None:
        return None
    governs = governing(row)
    if governs is None or was_seen(account, governs[0]) or _is_being_sold(row):
        return None
    plan, finding = governs
    made = plan.snapshot()
    ended = store.last_ended_at(row)
    if not core.is_subject(row.snapshot(), finding=finding, plan=made, last_ended_at=ended):
        return None
    stops = store.stops(row.namespace_id)
    if core.state(finding, plan=made, stops=stops, now=now).state is State.HELD:
        return None
    return create(row, plan=plan, finding=finding)


def _is_being_sold(row: Handle) -> bool:
    """A holder who sells their handle is alive; what becomes of it is decided by the sale."""
    return hasattr(row, "saleslot")


def create(row: Handle, *, plan: Plan, finding: core.Finding, **fields: Any) -> Reclaim:
    """A process of its own for a locked row."""
    return Reclaim.objects.create(
        handle=row,
        plan=plan,
        bucket=finding.bucket,
        account_id=finding.account_id,
        verdict=finding.verdict,
        reasons=list(finding.reasons),
        resting_days=finding.resting_days,
        **fields,
    )


def advance(row: Handle, process: Reclaim, *, now: datetime) -> core.Standing:
    """Write the state that an open process has by now into its row, with a leaf for each step."""
    found = of(row, process, now=now)
    if found.state.value != row.state:
        _write(row, process, found, now=now)
    process.next_at = _next_at(process, found, appeal_open=row.appeal_open, now=now)
    process.save()
    return found


def _write(row: Handle, process: Reclaim, found: core.Standing, *, now: datetime) -> None:
    row.state = process.written = found.state
    row.touched_at = now
    row.save(update_fields=["state", "touched_at"])
    if found.state in EVENTS and not _stands_in_bulk(process, found.state):
        log(EVENTS[found.state], row, process, deadline_at=found.deadline_at, at=now)
    if found.state is State.RELEASED:
        waiting.tell(row, since=str(process.pk), now=now)


def _stands_in_bulk(process: Reclaim, state: State) -> bool:
    """Whether the leaf of the whole part has said it, so that it need not be said again."""
    part = process.plan.planpart_set.filter(
        low__lte=process.bucket, high__gt=process.bucket
    ).first()
    if part is None or process.sent is not None or process.listed_at is not None:
        return False
    if state is State.WARNED:
        return part.sent[0] is not None
    return state in (State.RESTING, State.RETIRED) and part.rested_at is not None


def log(
    type_: str,
    row: Handle,
    process: Reclaim,
    *,
    at: datetime,
    deadline_at: datetime | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """One leaf about one handle's step."""
    body: dict[str, Any] = {
        "handle": row.handle,
        "reasons": list(process.reasons),
        "policy": process.plan.policy_ref,
        "sweep": process.plan_id,
    }
    if deadline_at is not None:
        body["deadline"] = instant(deadline_at)
    event = Event(type_, f"{process.plan_id}/{row.handle}", body, dict(evidence or {}))
    record.log(event, namespace=row.namespace_id, at=at)


def _next_at(
    process: Reclaim, found: core.Standing, *, appeal_open: bool, now: datetime
) -> datetime | None:
    """When time alone changes something; None: only somebody's act does, or the stop's end."""
    if appeal_open or found.state in (State.RELEASED, State.RETIRED):
        return None
    if process.sent is not None and None in process.sent:
        return _next_notice(process, now=now)
    if process.listed_at is not None and process.confirmed_by_id is None:
        return None
    if found.state is State.RESTING:
        return found.release_at
    return found.deadline_at


def _next_notice(process: Reclaim, *, now: datetime) -> datetime:
    """An account that a notice did not reach is told on its own, as soon as it is due.

    What is overdue keeps its instant: a deadline that moves with the clock is never done.
    """
    sent, days = process.sent or [], process.plan.periods["notice_days"]
    first = sent[0] if sent else None
    if first is None:
        return process.next_at or now
    due: datetime = first + (days[0] - days[sent.index(None)]) * DAY
    return due


def give_back(
    row: Handle, process: Reclaim, *, ending: core.Ending | None, how: str, now: datetime
) -> None:
    """The handle is its holder's again; `ending` None: the account was seen. `how` is evidence.

    Refuses `handle_locked` once money is in escrow. Writes row, process and leaf.
    """
    deadline_at = of(row, process, now=now).deadline_at
    in_time = deadline_at is None or now < deadline_at
    held, ended = core.end(
        row.snapshot(),
        process.snapshot(),
        ending=ending or (core.Ending.WOKE if in_time else core.Ending.RETURNED),
        waking_days=process.plan.periods["waking_days"],
        now=now,
    )
    write_end(row, process, held=held, ended=ended, how=how, now=now)


def of(row: Handle, process: Reclaim, *, now: datetime) -> core.Standing:
    """Where an open process stands now."""
    return core.standing(
        process.snapshot(),
        finding=process.finding(),
        plan=process.plan.snapshot(),
        stops=store.stops(row.namespace_id),
        appeal_open=row.appeal_open,
        now=now,
    )


def write_end(
    row: Handle,
    process: Reclaim,
    *,
    held: handles.Handle,
    ended: core.Process,
    how: str,
    now: datetime,
) -> None:
    """Rows and leaf of a decided ending: Kept if the holder had only been warned, else Restored."""
    was = row.state
    row.state, row.may_not_sell_until, row.touched_at = held.state, held.may_not_sell_until, now
    row.save(update_fields=["state", "may_not_sell_until", "touched_at"])
    process.written, process.ending, process.ended_at = held.state, ended.ending, ended.ended_at
    process.next_at = None
    process.save()
    evidence = {"evidence": {"ending": ended.ending, "how": how}}
    type_ = "Kept" if was in (State.HELD, State.WARNED) else "Restored"
    log(type_, row, process, at=now, evidence=evidence)
