"""From the platform's accounts to handles sold: what became of the newest sweep, in counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.models import Exists, OuterRef

from onym.core.handle import State
from onym.core.reclaim import Ending
from onym.queries import ground, plan
from onym.queries.ground import Ground
from onym.store.models import Campaign, Listing, Plan, Reclaim, Sale
from onym.sweep import stock as stocks

KEPT = (Ending.KEPT, Ending.WOKE, Ending.RETURNED, Ending.PROTECTED, Ending.UPHELD)
STEPS = ("accounts", "findings", "warned", "kept", "resting", "released", "listed", "sold")


def funnel(place: str | Ground) -> list[dict[str, Any]]:
    """`{"step", "count"}` for each of `STEPS`, of the newest plan; empty before any sweep is used.

    A step counts the findings that have come as far or further, `kept` those that stayed with
    their holder on the way. `listed` was offered by the house, publicly or privately; `sold` is
    settled.
    """
    looked = ground.of(place)
    newest = next(iter(looked.plans), None)
    if newest is None:
        return []
    market = _marketed(newest)
    counts = market | _reached(plan.counts(looked, newest), sold=market["sold"])
    opened = stocks.cached(Path(newest.path))
    counts |= {"findings": opened.rows, "accounts": _accounts(opened, looked)}
    return [{"step": step, "count": counts[step]} for step in STEPS]


def _accounts(opened: stocks.Stock, looked: Ground) -> int:
    """What the sweep looked at; the last import, where its manifest does not say."""
    swept = opened.sweep.get("rows")
    known = looked.directory
    return int(swept) if swept is not None else known.snapshot.rows if known else 0


def _reached(counts: dict[str, int], *, sold: int) -> dict[str, int]:
    """Cumulative counts out of those by where each finding stands; who buys ends a process."""
    released = sold + counts.get(State.RELEASED, 0)
    resting = released + sum(counts.get(s, 0) for s in (State.RESTING, State.RETIRED))
    kept = sum(counts.get(ending, 0) for ending in KEPT)
    return {
        "warned": resting + kept + counts.get(State.WARNED, 0),
        "kept": kept,
        "resting": resting,
        "released": released,
    }


def _marketed(newest: Plan) -> dict[str, int]:
    handle = OuterRef("handle")
    house = Listing.objects.filter(handle=handle, seller__is_house=True)
    asked = Campaign.objects.filter(handle=handle, sent_at__isnull=False)
    sold = Sale.objects.filter(handle=handle, kind="primary", state="settled")
    rows = Reclaim.objects.filter(plan=newest).annotate(sold=Exists(sold))
    offered = rows.filter(Exists(house) | Exists(asked) | Exists(sold))
    found = list(offered.values_list("sold", flat=True))
    return {"listed": len(found), "sold": sum(found)}


def verdicts(place: str | Ground) -> dict[str, Any] | None:
    """The newest sweep in use: `policy`, `as_of`, and `verdicts` the most frequent first, each
    with `count` and `reasons` (code and count, the most frequent first); None before any.
    """
    newest = next(iter(ground.of(place).plans), None)
    if newest is None:
        return None
    opened = stocks.cached(Path(newest.path))
    counts = {**opened.sweep.get("verdicts", {}), **opened.counts}
    shown = [
        {"verdict": verdict, "count": count, "reasons": _sorted(opened.reasons.get(verdict, {}))}
        for verdict, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"policy": newest.policy_ref, "as_of": newest.as_of, "verdicts": shown}


def _sorted(reasons: Any) -> list[dict[str, Any]]:
    by_count = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return [{"code": code, "count": count} for code, count in by_count]
