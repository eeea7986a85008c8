"""Plans as the desk and the public see them, and what the clock makes due in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.plan import Stop
from onym.queries import ground
from onym.queries.ground import Ground
from onym.store import reclaim as store
from onym.store.models import Namespace, Plan, PlanPart, Reclaim


def progress(*, plan_id: str) -> dict[str, int]:
    """How many findings of a plan stand where: counted by part, not by handle."""
    row = Plan.objects.get(pk=plan_id)
    return counts(ground.of(row.namespace_id), row)


def progress_of(looked: Ground, plan_id: str) -> dict[str, int]:
    """The same where the ground is known already."""
    return counts(looked, next(row for row in looked.plans if row.id == plan_id))


def overview(*, namespace: str | Ground, chosen: str = "") -> list[dict[str, Any]]:
    """Every plan, the newest sweep first; counts stand by the `chosen` one, else by the first."""
    looked = ground.of(namespace)
    rows = looked.plans
    which = chosen if chosen in {row.id for row in rows} else rows[0].id if rows else ""
    return [
        {
            "id": row.id,
            "policy": row.policy_ref,
            "as_of": row.as_of,
            "stages": [
                {"percent": p, "starts_at": datetime.fromisoformat(at)} for p, at in row.stages
            ],
            "progress": counts(looked, row) if row.id == which else None,
            "findings": sum(count for part in row.planpart_set.all() for _, count in part.resting)
            + sum(part.retiring for part in row.planpart_set.all()),
            "next": _next(looked, row),
        }
        for row in rows
    ]


def _next(looked: Ground, row: Plan) -> dict[str, Any] | None:
    """What the clock makes due next in a plan: `at`, and the flow that does it."""
    made = looked.made[row.id]
    waits = (
        item
        for part in row.ordered_parts()
        if not _is_done(part)
        for item in _of_part(part, made=made, stops=looked.stops, now=looked.now)
    )
    first = min(waits, default=None)
    return {"at": first[0], "what": first[1]} if first else None


def counts(looked: Ground, row: Plan) -> dict[str, int]:
    """The same of a plan of the ground."""
    made, stops, now = looked.made[row.id], looked.stops, looked.now
    found: Counter[str] = Counter()
    for part, kept in zip(made.parts, row.ordered_parts(), strict=True):
        classes: list[tuple[int | None, int]] = [*part.resting, (None, kept.retiring)]
        for resting, count in classes:
            stands = core.state_of_part(part, resting_days=resting, plan=made, stops=stops, now=now)
            found[stands.state.value] += count
    for process in Reclaim.objects.filter(plan=row).select_related("handle"):
        _move(found, process, made=made, stops=stops, now=now)
    return {name: count for name, count in sorted(found.items()) if count}


def _move(
    counts: Counter[str],
    process: Reclaim,
    *,
    made: plans.Plan,
    stops: tuple[Stop, ...],
    now: datetime,
) -> None:
    """A handle with a way of its own counts where it stands, not where its part does."""
    part = made.part(process.bucket)
    if part is None:
        return
    there = core.state_of_part(
        part, resting_days=process.resting_days, plan=made, stops=stops, now=now
    )
    counts[there.state.value] -= 1
    if process.ended_at is not None:
        counts[str(process.ending)] += 1
    else:
        counts[process.handle.state] += 1


def countdown(*, namespace: str | Ground) -> dict[str, Any]:
    """The stages of every plan that still has something to release, and whether the stop holds
    all of them back.
    """
    looked = ground.of(namespace)
    return {
        "stop": plans.is_on(looked.stops, now=looked.now),
        "plans": [
            {
                "plan": plan.id,
                "policy": plan.policy_ref,
                "stages": [
                    {"percent": percent, "starts_at": at, "releases_from": at + plan.first_rest}
                    for percent, at in ((p, datetime.fromisoformat(t)) for p, t in plan.stages)
                ],
            }
            for plan in looked.plans
            if not all(_is_done(part) for part in plan.ordered_parts())
        ],
    }


# What the clock makes due


def due(until: datetime) -> list[tuple[datetime, str, str]]:
    """(instant, flow, id): waves, leaves of whole parts, and handles on a way of their own."""
    found = [item for plan in _in_use() for item in _of_plan(plan, now=until)]
    rows = Reclaim.objects.filter(ended_at=None, next_at__lte=until)
    found += [(at, "reclaim.step", str(pk)) for pk, at in rows.values_list("pk", "next_at") if at]
    return sorted(item for item in found if item[0] <= until)


def _in_use() -> Iterator[Plan]:
    for place in Namespace.objects.values_list("pk", flat=True):
        yield from store.plans_of(place)


def _of_plan(plan: Plan, *, now: datetime) -> Iterator[tuple[datetime, str, str]]:
    rows = plan.ordered_parts()
    if all(_is_done(row) for row in rows):
        return
    made, stops = plan.snapshot(), store.stops(plan.namespace_id)
    for row in rows:
        if not _is_done(row):
            yield from _of_part(row, made=made, stops=stops, now=now)


def _is_done(row: PlanPart) -> bool:
    return row.rested_at is not None and len(row.released) == len(row.resting)


def _of_part(
    row: PlanPart, *, made: plans.Plan, stops: tuple[Stop, ...], now: datetime
) -> Iterator[tuple[datetime, str, str]]:
    part = row.snapshot()
    if None in part.sent:
        number = part.sent.index(None) + 1
        at = plans.notice_due(made, part, number)
        if at is not None:
            yield at, "reclaim.tell", f"{row.pk}/{number}"
        return
    end = plans.deadline(part.sent, notice_days=made.notice_days, now=now)
    if row.rested_at is None and end is not None:
        yield end, "reclaim.rest", str(row.pk)
    for days, _ in part.resting:
        free = plans.release_at(made, part, days, stops=stops, now=now)
        if days not in row.released and free is not None:
            yield free, "reclaim.release", f"{row.pk}/{days}"
