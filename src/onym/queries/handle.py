"""The page of a handle: everything that it shows, read together in a fixed number of statements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from onym.core import guidelines
from onym.queries import ground, names, reclaim, similar, trend
from onym.queries.ground import Ground
from onym.store.desk import document
from onym.store.models import Handle


def page(place: str | Ground, name: str, *, viewer: str | None = None) -> dict[str, Any]:
    """`now`; `handle` as in `GET /handles/{handle}`; when it `changed_hands`, for as long as that
    is to be said beside it; `freed` as in its `/reclaim`, and the same
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
        "changed_hands": _changed_hands(looked, view["changed_hands_at"]),
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


def _changed_hands(looked: Ground, at: datetime | None) -> datetime | None:
    """The instant while the banner about it lasts, as the guidelines in force say."""
    if at is None:
        return None
    row = document(namespace=looked.id, kind="guidelines", at=looked.now)
    rules = guidelines.parse(row.text if row else guidelines.built_in())
    return at if looked.now < at + rules.periods["changed_hands_banner_days"] else None


def leads(place: str | Ground, old: str, *, to: str) -> bool:
    """Whether the retained handle `old` leads to the handle `to` now (both canonical)."""
    looked = ground.of(place)
    rows = Handle.objects.filter(namespace_id=looked.id, handle=old, redirect_to=to)
    return rows.filter(retained_until__gt=looked.now).exists()
