"""The stock: released handles that may be sold, narrowed and sorted; the shortlist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Count

from onym.core import reclaim as reclaims
from onym.core.handle import State
from onym.core.money import Money
from onym.core.policy import Outcome
from onym.queries import appraisal, ground, names, queue, standing
from onym.queries.ground import Ground
from onym.store.models import ShortlistEntry, Watch
from onym.sweep import stock as stocks

SHOWN = 50
SCANNED = 5_000
TIERS = ("rare", "priority", "standard")
SORTS = ("worth", "cheap", "handle", "short", "demand")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to show: nothing narrows by default. Estimates are minor units; 0 is no bound."""

    q: str = ""
    tier: str = ""
    min_length: int = 0
    max_length: int = 0
    min_minor: int = 0
    max_minor: int = 0
    sort: str = "worth"
    marked: bool = False


def stock(place: str | Ground, wish: Wish | None = None) -> list[dict[str, Any]]:
    """Released handles, touched or not, what is appraised highest first or as `wish` sorts them.

    At most `SCANNED` findings of each plan are looked at: a longer beginning finds the rest.
    """
    looked, asked = ground.of(place), wish or Wish()
    start = asked.q.lower()
    found = {row["handle"]: row for row in _released(looked, start=start)}
    rows = standing.touched(looked)
    swept = {row.handle: found.pop(row.handle) for row in rows.filter(handle__in=list(found))}
    for row in rows.filter(handle__startswith=start, state=State.RELEASED)[:SCANNED]:
        known = swept.get(row.handle) or _known(looked, row)
        found[row.handle] = known | {"sale": names.sale_of(row), "demand": row.demand or 0}
    notes, watched = marks(looked), _watched(looked)
    kept = [
        row | {"mark": notes.get(row["handle"]), "watched": watched.get(row["handle"], 0)}
        for row in found.values()
    ]
    return sorted((row for row in kept if _fits(row, asked)), key=_order(asked.sort))[:SHOWN]


def _released(looked: Ground, *, start: str) -> Iterator[dict[str, Any]]:
    """What the plans in use have set free, as if nobody had touched any of it."""
    for plan in looked.plans:
        made, opened = looked.made[plan.id], stocks.cached(Path(plan.path))
        for row in opened.prefix(start, limit=SCANNED):
            finding = reclaims.Finding(
                handle=row["canonical"],
                bucket=opened.bucket(row["canonical"]),
                account_id=row["account_id"],
                verdict=Outcome(row["verdict"]),
                reasons=tuple(row["reasons"] or ()),
                resting_days=row["resting_days"],
            )
            stands = reclaims.state(finding, plan=made, stops=looked.stops, now=looked.now)
            if stands.state is State.RELEASED:
                mid = row["appraisal_mid_minor"]
                worth = Money(mid, looked.place.currency) if mid else None
                yield _brief(row["canonical"], row["handle"], tier=row["tier"], appraisal=worth)


def _watched(looked: Ground) -> dict[str, int]:
    """How many members watch a handle, by handle."""
    rows = Watch.objects.filter(namespace=looked.place, handle__state=State.RELEASED)
    return dict(rows.values_list("handle__handle").annotate(count=Count("pk")))


def _known(looked: Ground, row: Any) -> dict[str, Any]:
    """A released handle that no stock describes."""
    told = queue.worth(looked, row.handle)
    mid = told["appraisal"]["mid"]
    return _brief(row.handle, row.display, tier=told["tier"]["name"], appraisal=mid)


def _brief(
    handle: str, display: str, *, tier: str | None, appraisal: Money | None
) -> dict[str, Any]:
    return {
        "handle": handle,
        "display": display,
        "tier": tier,
        "appraisal": appraisal,
        "sale": None,
        "demand": 0,
    }


def _fits(row: Mapping[str, Any], wish: Wish) -> bool:
    length, minor = len(row["handle"]), row["appraisal"].minor if row["appraisal"] else 0
    return (
        (not wish.tier or row["tier"] == wish.tier)
        and length >= wish.min_length
        and (not wish.max_length or length <= wish.max_length)
        and minor >= wish.min_minor
        and (not wish.max_minor or minor <= wish.max_minor)
        and (not wish.marked or row["mark"] is not None)
    )


def _order(sort: str) -> Any:
    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        worth = row["appraisal"].minor if row["appraisal"] else 0
        first = {
            "cheap": worth,
            "handle": 0,
            "short": len(row["handle"]),
            "demand": -row["demand"] - row["watched"],
        }.get(sort, -worth)
        return first, row["handle"]

    return key


def marks(looked: Ground) -> dict[str, dict[str, Any]]:
    """The shortlist by handle: its `note`, who marked it and when."""
    rows = ShortlistEntry.objects.filter(namespace=looked.place, removed_at=None)
    return {
        row.handle: {"note": row.note, "by": row.added_by.name, "at": row.added_at}
        for row in rows.select_related("added_by").order_by("added_at", "pk")
    }


def shortlist(looked: Ground) -> list[dict[str, Any]]:
    """Every handle on the shortlist with all that helps to choose, in the order of the marks."""
    notes = marks(looked)
    seen = standing.seen_all(looked, notes)
    return [
        names.brief(looked, seen[name])
        | {"mark": note, "demand": getattr(seen[name].row, "demand", None) or 0}
        for name, note in notes.items()
    ]


def compared(rows: Iterable[dict[str, Any]], chosen: Iterable[str]) -> list[dict[str, Any]]:
    """Those of `chosen` side by side, with the strongest factors of each."""
    wanted = set(chosen)
    return [
        row | {"strongest": appraisal.strongest(row["appraisal"]["factors"])}
        for row in rows
        if row["handle"] in wanted
    ]
