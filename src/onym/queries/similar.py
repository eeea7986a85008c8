"""Handles that somebody who looks for one may like as well, or may mistake it for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Case, OuterRef, Q, Subquery, When

from onym.core import near, reading
from onym.core.names import canon, skeleton
from onym.queries import appraisal, ground, names, standing
from onym.queries.ground import Ground
from onym.store.models import Watch

MOST = 8
LOOKED_AT = 200
"""Rows, and accounts of the directory, that are compared for one answer."""

SHORTEST_WORD = 3
WHYS = ("skeleton", "one_edit", "word")
"""How a handle is similar, the closest first: it looks the same, one slip apart, shares a word."""


def similar(place: str | Ground, name: str) -> list[dict[str, Any]]:
    """At most `MOST` similar handles, the closest first and by name: `handle`, `display`, `why`
    (one of `WHYS`), `state`, and `price` if it is on sale (else None).

    Known rows are compared, and what the directory has under the same first letters. Refuses
    `handle_malformed`, `not_found` for the namespace.
    """
    return with_similar(ground.of(place), name)[1]


def with_similar(
    looked: Ground, name: str, *, viewer: str | None = None
) -> tuple[standing.Seen, list[dict[str, Any]]]:
    """The handle itself and the similar ones, looked at together.

    `row.viewers_watch` is the id of the watch that the member `viewer` has on it.
    """
    canonical = canon(name, looked.place.profile)
    words = _words(canonical)
    mine = Watch.objects.filter(handle=OuterRef("pk"), member=viewer).values("pk")
    rows = standing.touched(looked).annotate(viewers_watch=Subquery(mine[:1]))
    rows = rows.filter(Q(handle=canonical) | _near(canonical, words))
    own_first = rows.order_by(Case(When(handle=canonical, then=0), default=1), "handle")
    known = {row.handle: row for row in own_first[:LOOKED_AT]}
    candidates = {*known, *_listed(looked, canonical)} - {canonical}
    whys = {one: why for one in candidates if (why := _why(canonical, one, words))}
    nearest = sorted(whys, key=lambda one: (WHYS.index(whys[one]), one))[:MOST]
    seen = standing.stand(looked, [canonical, *nearest], known)
    return seen[canonical], [_item(seen[one], whys[one]) for one in nearest]


def _near(canonical: str, words: Iterable[str]) -> Q:
    found = Q(handle__in=[*near.one_edit(canonical), *near.look_alikes(canonical)])
    for word in words:
        found |= Q(handle__contains=word)
    return found


def _words(canonical: str) -> frozenset[str]:
    """What a name is put together of; a name that is no word of any language has none."""
    read = reading.read(canonical, lexicon=appraisal.known_words())
    parts = read.parts if read.kind in ("phrase", "full_name") else ()
    whole = (read.text if read.whole else read.stem,) if read.word is not None else ()
    return frozenset(word for word in (*parts, *whole) if len(word) >= SHORTEST_WORD)


def _listed(looked: Ground, canonical: str) -> list[str]:
    """What the directory has under the first letters, all but the last two of them."""
    start = canonical[: max(2, len(canonical) - 2)]
    known = looked.directory
    found = known.prefix(start, limit=LOOKED_AT) if known else []
    return [account["canonical"] for account in found]


def _why(canonical: str, other: str, words: frozenset[str]) -> str | None:
    if skeleton(other) == skeleton(canonical):
        return "skeleton"
    if near.is_one_edit(canonical, other):
        return "one_edit"
    shared = any(other.startswith(word) or other.endswith(word) for word in words)
    return "word" if shared else None


def _item(seen: standing.Seen, why: str) -> dict[str, Any]:
    sale = names.sale_of(seen.row)
    return {
        "handle": seen.handle,
        "display": seen.display,
        "why": why,
        "state": seen.standing.state.value,
        "price": sale.get("price") if sale else None,
    }
