"""Sweeps that the desk asked for: how far they are, what they found, what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from onym.core import policy
from onym.core.errors import NotFound
from onym.queries import plan as plans
from onym.queries.ground import Ground
from onym.store.models import Document, Handle, Sweep
from onym.sweep import progress

SHOWN = 50
BEGUN = frozenset({"held"})
ENDED_BEFORE_RELEASE = frozenset({"kept", "woke", "protected", "upheld", "gone", "returned"})


def sweeps(looked: Ground) -> list[dict[str, Any]]:
    """The latest first, with how far each is and the plan that uses it."""
    rows = Sweep.objects.filter(namespace=looked.place).select_related("ordered_by")
    used = {plan.path: plan.id for plan in looked.plans}
    return [_brief(row, used.get(row.stock)) for row in rows.order_by("-ordered_at", "-id")[:SHOWN]]


def _brief(row: Sweep, plan: str | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "policy": f"{row.policy}/{row.version}",
        "as_of": row.as_of,
        "dry_run": row.dry_run,
        "state": row.state,
        "percent": _percent(row),
        "who": row.ordered_by.name or row.ordered_by_id,
        "ordered_at": row.ordered_at,
        "ended_at": row.ended_at,
        "accounts": row.accounts,
        "findings": sum(count for name, count in row.verdicts.items() if name != "keep"),
        "plan": plan,
    }


def _percent(row: Sweep) -> int:
    if row.state != "running":
        return 100
    place = Path(settings.DATA) / "namespaces" / row.namespace_id / "sweeps"
    return progress.read(place / f"{row.id}.progress")


def sweep(looked: Ground, sweep_id: str) -> dict[str, Any]:
    """One sweep with its counts, and the steps of its funnel. Refuses `not_found`."""
    rows = Sweep.objects.filter(namespace=looked.place).select_related("ordered_by")
    row = rows.filter(pk=sweep_id).first()
    if row is None:
        raise NotFound("no such sweep")
    plan = next((plan for plan in looked.plans if plan.path == row.stock), None)
    told = _brief(row, plan.id if plan else None)
    findings = told["findings"]
    reasons = sorted(row.reasons.items(), key=lambda one: -one[1])
    return told | {
        "verdicts": row.verdicts,
        "reasons": [
            {"code": code, "count": count, "percent": 100 * count // max(1, findings)}
            for code, count in reasons
        ],
        "funnel": _funnel(looked, told) if row.state == "done" else [],
    }


def stages(looked: Ground, ref: str) -> tuple[int, ...]:
    """The stages, in per cent, that a published policy (`name/version`) releases in."""
    name, _, version = ref.rpartition("/")
    rows = Document.objects.filter(namespace=looked.place, kind="policy", name=name)
    known = [row for row in looked.policies if f"{row.name}/{row.version}" == ref]
    row = known[0] if known else rows.filter(version=version).first()
    return tuple(policy.parse(row.text, name).periods.release_percent) if row else ()


def stock_of(looked: Ground, sweep_id: str) -> str:
    """Where a sweep's findings lie. Refuses `not_found` for one that kept none."""
    rows = Sweep.objects.filter(namespace=looked.place, pk=sweep_id).exclude(stock="")
    found = rows.values_list("stock", flat=True).first()
    if found is None:
        raise NotFound("this sweep kept no findings")
    return found


def _funnel(looked: Ground, told: dict[str, Any]) -> list[tuple[str, int]]:
    """(step, count): accounts, findings, warned, resting, released, listed, sold, each of the one
    before; the steps after the findings once a plan uses them.
    """
    steps = [("accounts", told["accounts"]), ("findings", told["findings"])]
    if told["plan"] is None:
        return steps
    stands = plans.progress_of(looked, told["plan"])
    listed, sold = _sold(told["plan"])
    ended = sum(count for name, count in stands.items() if name in ENDED_BEFORE_RELEASE)
    begun = sum(count for name, count in stands.items() if name not in BEGUN) + sold
    resting = begun - ended - stands.get("warned", 0)
    released = stands.get("released", 0) + sold
    return [
        *steps,
        ("warned", begun),
        ("rested", max(resting, released)),
        ("released", released),
        ("listed", listed),
        ("sold", sold),
    ]


def _sold(plan: str) -> tuple[int, int]:
    """How many handles of a plan the house has put on sale, in whatever way, and sold."""
    own = Handle.objects.filter(reclaim__plan=plan)
    offered = Q(listing__seller__is_house=True) | Q(campaign__isnull=False)
    sold = Q(sale__seller__is_house=True, sale__state__in=("inspection", "settled"))
    found = own.aggregate(
        offered=Count("pk", filter=offered | sold, distinct=True),
        sold=Count("pk", filter=sold, distinct=True),
    )
    return found["offered"], found["sold"]
