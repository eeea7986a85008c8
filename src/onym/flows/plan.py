"""Taking a sweep into use: approved, announced, cut into stages; docs/concepts/reclaim.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from onym.core import access, policy
from onym.core import plan as core
from onym.core import reclaim as decisions
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, Malformed, NotFound
from onym.core.events import Event, instant
from onym.flows import area, names, record, staff, standing
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks
from onym.store.models import (
    Approval,
    Document,
    Plan,
    PlanPart,
)
from onym.sweep import stock as stocks

STAGE_DAYS = (0, 14, 28)
"""Days after the start on which each stage begins; the last one repeats if there are more."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A cut of the stock: how many of its findings rest how long, and how many retire."""

    cut: core.Cut
    resting: tuple[tuple[int, int], ...]
    retiring: int


def adopt(
    *,
    namespace: str,
    stock: Path,
    by: str,
    starts_at: datetime,
    stage_days: Sequence[int] = STAGE_DAYS,
) -> Plan | Approval:
    """Take a stock into use: its holders are warned in announced stages from `starts_at` on.

    Two people where an account that would lose its handle has as many followers as the guidelines
    say. Refuses `not_allowed`, `malformed`, `not_found` for an unpublished policy, `area_stopped`,
    `already_closed` for a stock in use, or one that waits for its second person.
    """
    payload = {
        "stock": str(stock),
        "starts_at": instant(starts_at),
        "stage_days": list(stage_days),
        "by": by,
    }
    _expect_may(namespace, by=by)  # before large files are read; again under the lock
    if _needs_two(namespace, stock):
        return _propose(namespace, payload=payload, facts=_facts(stock), by=by)
    return _adopt(namespace, payload=payload, approval=None)


def _expect_may(namespace: str, *, by: str) -> None:
    staff.expect(by, access.Action.SWEEP, namespace=namespace)
    area.expect(Area.RECLAIM, namespace=namespace)


def _needs_two(namespace: str, stock: Path) -> bool:
    threshold = sale_flow.guidelines_of(namespace, clock.now()).approval["followers"]
    most = _most_followers(namespace, stock)
    return decisions.needs_two(most_followers=most, threshold=threshold)


def _propose(
    namespace: str, *, payload: Mapping[str, Any], facts: Mapping[str, Any], by: str
) -> Approval:
    with transaction.atomic():
        rowlocks.namespace(namespace)  # of two proposals of one stock the later sees the first
        now = clock.now()
        _expect_may(namespace, by=by)
        _expect_new(namespace, payload=payload, now=now)
        waiting = Approval.objects.filter(namespace_id=namespace, action="adopt_plan", state="open")
        if waiting.filter(payload__stock=payload["stock"]).exists():
            raise AlreadyClosed("this sweep waits for a second person already")
        return record.propose(
            namespace=namespace,
            action="adopt_plan",
            payload=payload,
            facts=facts,
            by=by,
            now=now,
        )


def _expect_new(namespace: str, *, payload: Mapping[str, Any], now: datetime) -> None:
    if datetime.fromisoformat(payload["starts_at"]) < now - timedelta(minutes=1):
        raise Malformed("a plan starts in the future")
    if Plan.objects.filter(namespace_id=namespace, path=payload["stock"]).exists():
        raise AlreadyClosed("this sweep is in use already")


def _most_followers(namespace: str, stock: Path) -> int | None:
    """The most followers that an account has which this stock would take a handle from."""
    known = names.directory(namespace)
    if known is None:
        return None
    taken = (f for f in standing.findings(stock) if f.verdict in decisions.TAKEN)
    rows = (known.by_handle(finding.handle) for finding in taken)
    counts = [row["followers"] for row in rows if row and row["followers"] is not None]
    return max(counts, default=None)


def facts_of(approval: Approval) -> Mapping[str, Any]:
    """What both people see of a stock; its files never change."""
    return _facts(Path(approval.payload["stock"]))


def _facts(stock: Path) -> Mapping[str, Any]:
    found = stocks.cached(stock)
    return {
        "findings": found.rows,
        "verdicts": dict(found.counts),
        "policy": dict(found.sweep["policy"]),
        "as_of": found.sweep["as_of"],
        "root": found.root(0, core.BUCKETS).hex(),
    }


def adopt_approved(approval: Approval, now: datetime) -> Plan:
    """The plan that two people agreed on."""
    starts_at = max(datetime.fromisoformat(approval.payload["starts_at"]), now)
    payload = {**approval.payload, "starts_at": instant(starts_at)}
    return _adopt(approval.namespace_id, payload=payload, approval=approval)


def _adopt(namespace: str, *, payload: Mapping[str, Any], approval: Approval | None) -> Plan:
    """The files are read before anything is locked: they never change, and they may be large."""
    stock = stocks.cached(Path(payload["stock"]))
    rules = published(namespace, stock.sweep["policy"]["id"], stock.sweep["policy"]["version"])
    counted = _counted(stock, rules)
    with transaction.atomic():
        rowlocks.namespace_shared(namespace)
        now = clock.now()
        if approval is None:
            staff.expect(payload["by"], access.Action.SWEEP, namespace=namespace)
        area.expect(Area.RECLAIM, namespace=namespace)
        _expect_new(namespace, payload=payload, now=now)
        plan = _made(namespace, stock, rules, payload=payload, approval=approval, now=now)
        PlanPart.objects.bulk_create(_parts(plan, counted))
        record.log(*_announced(plan, stock=stock), namespace=namespace, at=now)
        return plan


def _made(
    namespace: str,
    stock: stocks.Stock,
    rules: policy.Policy,
    *,
    payload: Mapping[str, Any],
    approval: Approval | None,
    now: datetime,
) -> Plan:
    starts_at = max(datetime.fromisoformat(payload["starts_at"]), now)
    percents, days = rules.periods.release_percent, payload["stage_days"]
    starts = [starts_at + timedelta(days=days[min(i, len(days) - 1)]) for i in range(len(percents))]
    plan = Plan(
        id=ids.new("pln"),
        namespace_id=namespace,
        policy_name=stock.sweep["policy"]["id"],
        policy_version=stock.sweep["policy"]["version"],
        path=payload["stock"],
        as_of=datetime.fromisoformat(stock.sweep["as_of"]),
        periods=_periods(rules),
        stages=[[p, at.isoformat()] for p, at in zip(percents, starts, strict=True)],
        approval=approval,
        adopted_by_id=payload["by"],
        adopted_at=now,
    )
    try:
        with transaction.atomic():
            plan.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyClosed("this sweep is in use already") from error
    return plan


def published(namespace: str, name: str, version: int) -> policy.Policy:
    """A policy that this namespace has published. Refuses `not_found`."""
    rows = Document.objects.filter(namespace_id=namespace, kind="policy", name=name)
    row = rows.filter(version=version).first()
    if row is None:
        raise NotFound(f"policy {name}/{version} is not published here")
    return policy.parse(row.text, name)


def _periods(rules: policy.Policy) -> dict[str, Any]:
    periods = rules.periods
    return {
        "notice_days": list(periods.notice_days),
        "release_daily": periods.release_daily,
        "appeal_days": periods.appeal_days,
        "waking_days": periods.waking_days,
        "upheld": periods.upheld,
        "compensate_percent": periods.compensate_percent,
        "idle_days": _idle_days(rules),
    }


def _idle_days(rules: policy.Policy) -> int:
    """The longest silence that the policy asks for."""
    idle = [rule.when for rule in rules.rules_to(policy.Effect.IDLE)]
    return max((int(str(w.value)) for w in idle if w.op is policy.Op.OLDER_THAN), default=0)


def _counted(stock: stocks.Stock, rules: policy.Policy) -> list[_Counted]:
    """The cuts that take anything."""
    percents, daily = rules.periods.release_percent, rules.periods.release_daily
    counted = []
    for cut in core.cut(percents, count=stock.count, daily=daily):
        findings = standing.findings(stock.path, cut.low, cut.high)
        counted.append(_Counted(cut, *decisions.resting_classes(findings)))
    return [one for one in counted if one.resting or one.retiring]


def _parts(plan: Plan, counted: Iterable[_Counted]) -> Iterator[PlanPart]:
    starts = [datetime.fromisoformat(at) for _, at in plan.stages]
    for one in counted:
        yield PlanPart(
            plan=plan,
            stage=one.cut.stage,
            low=one.cut.low,
            high=one.cut.high,
            starts_at=starts[one.cut.stage] + one.cut.day * core.DAY,
            sent=[None] * len(plan.periods["notice_days"]),
            resting=[list(pair) for pair in one.resting],
            retiring=one.retiring,
        )


def _announced(plan: Plan, *, stock: stocks.Stock) -> tuple[Event, Event]:
    approval = {"approval": plan.approval_id} if plan.approval_id else {}
    manifest = stock.sweep
    swept = {
        "policy": plan.policy_ref,
        "as_of": instant(plan.as_of),
        "counts": dict(manifest["verdicts"]),
        "partitions": list(manifest["partitions"]),
        "profile": manifest["profile"],
    }
    stages = [
        {"percent": percent, "starts_at": instant(datetime.fromisoformat(at))}
        for percent, at in plan.stages
    ]
    announced = {
        "starts_at": stages[0]["starts_at"],
        "stages": stages,
        "policy": plan.policy_ref,
        "sweep": plan.id,
        "count": stock.rows,
    }
    return (
        Event("SweepRecorded", plan.id, swept | approval),
        Event("ReleaseAnnounced", plan.id, announced | approval),
    )
