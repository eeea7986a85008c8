"""The page of a handle: everything that it shows, read together in a fixed number of statements."""

from __future__ import annotations

from typing import Any

from onym.queries import ground, names, reclaim, similar, trend
from onym.queries.ground import Ground


def page(place: str | Ground, name: str) -> dict[str, Any]:
    """`handle` as in `GET /handles/{handle}`, `freed` as in its `/reclaim`, the holder's `account`
    (None: unknown), `similar` handles, the `history` of its prices and its `tenure_line`.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    looked = ground.of(place)
    found, near = similar.with_similar(looked, name)
    sold = trend.settled(looked.id, handle=found.handle)
    view = names.whole(looked, found, sold)
    return {
        "handle": view,
        "freed": reclaim.answer_of(looked, found),
        "account": names.account(looked, found.holder) if found.holder else None,
        "similar": near,
        "history": trend.history_of(sold, handle=found.handle),
        "tenure_line": names.tenure_line(view["tenures"], now=looked.now),
    }
