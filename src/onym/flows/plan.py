"""Taking a sweep into use: approved, announced, cut into stages; docs/concepts/reclaim.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction

from onym.core import access, policy
from onym.core import plan as core
from onym.core import reclaim as decisions
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, Malformed, NotFound
from onym.core.events import Event, instant
from onym.flows import area, names, record, standing
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks
from onym.store.models import (
    Approval,
    Document,
    Member,
    Plan,
    PlanPart,
)
from onym.sweep import stock as stocks

STAGE_DAYS = (0, 14, 28)
"""Days after the start on which each stage begins; the last one repeats if there are more."""


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
    say. Refuses `not_allowed`, `malformed`, `not_found` for an unpublished policy,
    `already_closed` for a stock in use.
    """
    with transaction.atomic():
        rowlocks.namespace(namespace)
        now = clock.now()
        access.expect(Member.objects.get(pk=by).snapshot(), access.Action.SWEEP)
        area.expect(Area.RECLAIM, namespace=namespace)
        payload = {
            "stock": str(stock),
            "starts_at": instant(starts_at),
            "stage_days": list(stage_days),
            "by": by,
        }
        _expect_new(namespace, stock=stock, starts_at=starts_at, now=now)
        most = _most_followers(namespace, stock)
        threshold = sale_flow.guidelines_of(namespace, now).approval["followers"]
        if not decisions.needs_two(most_followers=most, threshold=threshold):
            return _adopt(namespace, payload=payload, approval=None, now=now)
        return record.propose(
            namespace=namespace,
            action="adopt_plan",
            payload=payload,
            facts=_facts(stock),
            by=by,
            now=now,
        )


def _expect_new(namespace: str, *, stock: Path, starts_at: datetime, now: datetime) -> None:
    if starts_at < now - timedelta(minutes=1):
        raise Malformed("a plan starts in the future")
    if Plan.objects.filter(namespace_id=namespace, path=str(stock)).exists():
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
    place = approval.namespace_id
    rowlocks.namespace(place)
    area.expect(Area.RECLAIM, namespace=place)
    starts_at = datetime.fromisoformat(approval.payload["starts_at"])
    _expect_new(
        place, stock=Path(approval.payload["stock"]), starts_at=max(starts_at, now), now=now
    )
    return _adopt(place, payload=approval.payload, approval=approval, now=now)


def _adopt(
    namespace: str, *, payload: Mapping[str, Any], approval: Approval | None, now: datetime
) -> Plan:
    stock = stocks.cached(Path(payload["stock"]))
    rules = published(namespace, stock.sweep["policy"]["id"], stock.sweep["policy"]["version"])
    starts_at = max(datetime.fromisoformat(payload["starts_at"]), now)
    percents, days = rules.periods.release_percent, payload["stage_days"]
    starts = [starts_at + timedelta(days=days[min(i, len(days) - 1)]) for i in range(len(percents))]
    plan = Plan.objects.create(
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
    _cut(plan, stock=stock, percents=percents, starts=starts)
    record.log(*_announced(plan, stock=stock), namespace=namespace, at=now)
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


def _cut(
    plan: Plan, *, stock: stocks.Stock, percents: Sequence[int], starts: Sequence[datetime]
) -> None:
    cuts = core.cut(percents, count=stock.count, daily=plan.periods["release_daily"])
    silent = [None] * len(plan.periods["notice_days"])
    parts = []
    for piece in cuts:
        findings = standing.findings(stock.path, piece.low, piece.high)
        resting, retiring = decisions.resting_classes(findings)
        parts.append(
            PlanPart(
                plan=plan,
                stage=piece.stage,
                low=piece.low,
                high=piece.high,
                starts_at=starts[piece.stage] + piece.day * core.DAY,
                sent=silent,
                resting=[list(pair) for pair in resting],
                retiring=retiring,
            )
        )
    PlanPart.objects.bulk_create(part for part in parts if part.resting or part.retiring)


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
