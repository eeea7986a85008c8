"""The page of a handle: everything that it shows, read together in a fixed number of statements."""

from __future__ import annotations

from typing import Any

from onym.queries import ground, names, reclaim, similar, trend
from onym.queries.ground import Ground


def page(place: str | Ground, name: str, *, viewer: str | None = None) -> dict[str, Any]:
    """`now`; `handle` as in `GET /handles/{handle}`; `freed` as in its `/reclaim`, and the same
    `under_others` of the published policies; the holder's `account` (None: unknown), `similar`
    handles, the `history` of its prices, its `tenure_line`, and the id of the `watch` that the
    member `viewer` has on it.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    looked = ground.of(place)
    found, near = similar.with_similar(looked, name, viewer=viewer)
    sold = trend.settled(looked.id, handle=found.handle)
    view = names.whole(looked, found, sold)
    freed = reclaim.answer_of(looked, found)
    return {
        "now": looked.now,
        "handle": view,
        "freed": freed,
        "under_others": [
            reclaim.answer_of(looked, found, policy_id=row.name)
            for row in looked.policies
            if row.name != freed["policy"]["id"]
        ],
        "account": names.account(looked, found.holder) if found.holder else None,
        "similar": near,
        "history": trend.history_of(sold, handle=found.handle),
        "watch": getattr(found.row, "viewers_watch", None),
        "tenure_line": names.tenure_line(view["tenures"], now=looked.now),
    }
