"""Search: exact and prefix find every handle of the platform, fuzzy and facets those with a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.search import TrigramSimilarity
from django.db.models import BigIntegerField, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Extract, Length

from onym.core import near
from onym.core.errors import HandleMalformed, Malformed
from onym.core.names import canon
from onym.queries import appraisal, ground, names, standing
from onym.queries.ground import Ground

MOST = 100
SCANNED = 2_000
"""Rows that one answer looks at for their tier; the cursor leads on to the rest."""

MATCHES = ("prefix", "exact", "fuzzy")
TIERS = ("standard", "priority", "rare")
SALES = ("any", "listing", "sale", "invitation", "offer", "english", "sealed", "falling", "drop")
SORTS = ("handle", "price", "-price", "length", "listed")
LAST = 10**18
"""Where rows without a price stand, whichever way prices are sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is looked for; an empty field does not narrow. `sale` is a mechanism, `any`, or
    `sale` for one under way; lengths in characters, inclusive; `max_price_minor` of a listing.
    """

    q: str = ""
    match: str = "prefix"
    tier: str = ""
    min_length: int = 0
    max_length: int = 0
    sale: str = ""
    max_price_minor: int = 0
    sort: str = ""

    @property
    def everywhere(self) -> bool:
        """Whether untouched handles can be found, too."""
        narrowed = self.tier or self.min_length or self.max_length or self.sale
        sorted_ = self.sort not in ("", "handle")
        looked_up = bool(self.q) and self.match in ("prefix", "exact")
        return looked_up and not (narrowed or self.max_price_minor or sorted_)


def search(place: str | Ground, wish: Wish, *, after: str = "", limit: int = 50) -> dict[str, Any]:
    """Handles that match, in order; `covers` is `everything` or `touched` (those with a row).

    A page may be short of `limit` while `next` leads on. Refuses `not_found`, and `malformed` for
    an `after` that no answer gave.
    """
    looked, limit = ground.of(place), max(1, min(limit, MOST))
    if wish.everywhere:
        found, following = _everywhere(looked, wish, after=after, limit=limit)
        covers = "everything"
    else:
        found, following = _touched(looked, wish, after=after, limit=limit)
        covers = "touched"
    items = [names.brief(looked, seen) for seen in found]
    return {"items": items, "next": following, "covers": covers}


def _everywhere(
    looked: Ground, wish: Wish, *, after: str, limit: int
) -> tuple[list[standing.Seen], str | None]:
    try:
        start = canon(wish.q, looked.place.profile)
    except HandleMalformed:
        return [], None
    if wish.match == "exact":
        return [] if start <= after else [*standing.seen_all(looked, [start]).values()], None
    rows = standing.touched(looked).filter(handle__startswith=start)
    rows = rows.filter(handle__gt=after) if after else rows
    touched = {row.handle: row for row in rows.order_by("handle")[: limit + 1]}
    known = looked.directory
    listed = known.prefix(start, after=after or None, limit=limit + 1) if known else []
    wanted = sorted({*touched, *(account["canonical"] for account in listed)})
    found = standing.stand(looked, wanted[:limit], touched)
    return list(found.values()), wanted[limit - 1] if len(wanted) > limit else None


def _touched(
    looked: Ground, wish: Wish, *, after: str, limit: int
) -> tuple[list[standing.Seen], str | None]:
    rows = _sold_by(_matching(looked, wish), wish.sale).annotate(rank=_rank(wish))
    if after:
        rank, _, handle = after.partition("/")
        if not (rank.removeprefix("-").isdecimal() and len(rank) < 20 and handle):
            raise Malformed("the cursor is not one of ours")
        rows = rows.filter(Q(rank__gt=int(rank)) | Q(rank=int(rank), handle__gt=handle))
    scanned = list(rows.order_by("rank", "handle")[: SCANNED if wish.tier else limit + 1])
    fitting = [row for row in scanned if not wish.tier or _tier(looked, row.handle) == wish.tier]
    shown, last = fitting[:limit], None
    if len(fitting) > limit:
        last = shown[-1]
    elif wish.tier and len(scanned) == SCANNED:
        last = scanned[-1]
    found = standing.stand(looked, [row.handle for row in shown], {r.handle: r for r in shown})
    return list(found.values()), f"{last.rank}/{last.handle}" if last else None


def _matching(looked: Ground, wish: Wish) -> Any:
    """Rows that match but for their tier and their sale."""
    rows = _spelt(standing.touched(looked), wish, looked.place.profile)
    if wish.max_price_minor:
        rows = rows.filter(price_minor__lte=wish.max_price_minor)
    if wish.min_length or wish.max_length:
        rows = rows.annotate(length=Length("handle"))
    if wish.min_length:
        rows = rows.filter(length__gte=wish.min_length)
    return rows.filter(length__lte=wish.max_length) if wish.max_length else rows


def _spelt(rows: Any, wish: Wish, profile: str) -> Any:
    try:
        text = canon(wish.q, profile) if wish.q else ""
    except HandleMalformed:
        text = wish.q.lower()
    if not text:
        return rows
    if wish.match == "exact":
        return rows.filter(handle=text)
    if wish.match == "fuzzy":
        return rows.filter(Q(handle__trigram_similar=text) | Q(handle__in=near.one_edit(text)))
    return rows.filter(handle__startswith=text)


def _sold_by(rows: Any, sale: str) -> Any:
    if sale == "any":
        return rows.filter(saleslot__isnull=False)
    if sale in ("listing", "sale", "drop"):
        return rows.filter(saleslot__kind=sale)
    return rows.filter(saleslot__kind="sale", mechanism=sale) if sale else rows


def _rank(wish: Wish) -> Combinable:
    """What rows are sorted by before their handle, the least first."""
    orders: dict[str, Combinable] = {
        "price": F("price_minor"),
        "-price": -F("price_minor"),
        "length": Length("handle"),
        "listed": -Extract("saleslot__filled_at", "epoch"),
        "": -1000 * TrigramSimilarity("handle", wish.q.lower()),
    }
    by_name = wish.sort == "handle" or not (wish.sort or (wish.q and wish.match == "fuzzy"))
    order = Value(0) if by_name else orders[wish.sort]
    return Coalesce(Cast(order, BigIntegerField()), Value(LAST, BigIntegerField()))


def _tier(looked: Ground, handle: str) -> str:
    return appraisal.tier(handle, rules=names.rules(looked))["name"]


def facets(place: str | Ground, wish: Wish) -> dict[str, Any]:
    """How many rows each tier and each way of selling would leave, the other one as it is.

    Counted over at most `SCANNED` rows that match the rest; `complete` says whether those are all.
    """
    looked = ground.of(place)
    rows = _matching(looked, wish).order_by("handle")
    found = list(rows.values_list("handle", "saleslot__kind", "mechanism")[: SCANNED + 1])
    tiers: Counter[str] = Counter()
    sales: Counter[str] = Counter()
    for handle, kind, mechanism in found[:SCANNED]:
        tier, ways = _tier(looked, handle), _ways(kind, mechanism)
        if not wish.sale or wish.sale in ways:
            tiers[tier] += 1
        if not wish.tier or wish.tier == tier:
            sales.update(ways)
    return {
        "tier": {name: tiers[name] for name in TIERS},
        "sale": {name: sales[name] for name in SALES if sales[name]},
        "complete": len(found) <= SCANNED,
    }


def _ways(kind: str | None, mechanism: str | None) -> Sequence[str]:
    """Each value of `sale` that would leave a row with such a slot."""
    if kind is None:
        return ()
    return ("any", kind, mechanism) if mechanism and mechanism != "listing" else ("any", kind)
