"""A handle for those who ask often: what `names.handle` answers, in one statement.

What a namespace stands on and its latest sales are kept in the process under the version that the
statement itself tells, so that an answer is never older than the question.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from onym.core.errors import NotFound
from onym.core.names import canon
from onym.queries import appraisal, ground, names, standing, trend
from onym.queries.ground import Ground
from onym.store import look as store

SOLD_SECONDS = 60
"""A sale that closed before the latest one but was written after it is seen within this time."""

COMPARED_HANDLES = 10_000


@dataclass(frozen=True, slots=True)
class _Sold:
    """The latest sales under a version, and what is known of who resembles whom among them."""

    version: str | None
    until: float  # monotonic seconds
    sales: list[trend.Sold]
    nearest: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


_grounds: dict[str, tuple[str, Ground]] = {}
_sales: dict[str, _Sold] = {}


def handle(place: str, name: str) -> dict[str, Any]:
    """The whole handle object. Refuses `handle_malformed`, `not_found` for the namespace."""
    _, known = _grounds.get(place) or ("", ground.of(place))
    canonical = canon(name, known.place.profile)
    found = store.look(namespace=place, handle=canonical)
    if found is None:
        raise NotFound(f"there is no namespace {place}")
    looked = _ground(place, found)
    row = found.row
    ways = standing.processes(looked, [row])[row.pk] if row and found.has_processes else ()
    seen = standing.one(looked, canonical, row=row, on=found.on, ways=ways)
    return names.told(looked, seen, _comparables(looked, canonical, found))


def _ground(place: str, found: store.Look) -> Ground:
    """What is kept if it is of this version, at the look's own time."""
    version, kept = _grounds.get(place, ("", None))
    if kept is None or version != found.ground:
        kept = ground.of(place)
        _ = kept.directory, kept.plans, kept.made
        _grounds[place] = (found.ground, kept)
    looked = replace(kept, now=found.now)
    read = {name: getattr(kept, name) for name in ("directory", "plans", "made")}
    vars(looked).update(read)
    return looked


def _comparables(looked: Ground, canonical: str, found: store.Look) -> list[dict[str, Any]]:
    kept = _sales.get(looked.id)
    if kept is None or kept.version != found.sold or kept.until < time.monotonic():
        sales = trend.recently_sold(looked, limit=2 * trend.COMPARED)
        kept = _Sold(found.sold, time.monotonic() + SOLD_SECONDS, sales)
        _sales[looked.id] = kept
    if canonical not in kept.nearest:
        if len(kept.nearest) >= COMPARED_HANDLES:
            kept.nearest.clear()
        others = [sale for sale in kept.sales if sale["handle"] != canonical]
        near = appraisal.comparables(canonical, others[: trend.COMPARED])
        kept.nearest[canonical] = near
    return kept.nearest[canonical]
