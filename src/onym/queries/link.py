"""A member's linked accounts, and the code that they were given for a profile."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from onym.core.link import CODE_LASTS
from onym.store import clock
from onym.store.models import Link, LinkCode


def accounts(member: str) -> list[dict[str, Any]]:
    """The accounts, the primary one first; `unlinks_at` where one is about to be let go."""
    rows = Link.objects.filter(member_id=member, unlinked_at=None)
    return [
        {
            "account_id": row.account_id,
            "is_primary": row.is_primary,
            "linked_at": row.linked_at,
            "unlinks_at": row.unlinks_at,
        }
        for row in rows.order_by("-is_primary", "id")
    ]


def waiting(member: str) -> dict[str, Any] | None:
    """The code that was asked for last, while it lasts; None: there is none."""
    row = LinkCode.objects.filter(member_id=member).first()
    if row is None or clock.machine() >= row.ordered_at + CODE_LASTS:
        return None
    until: datetime = row.ordered_at + CODE_LASTS
    return {"handle": row.handle, "code": row.code, "until": until}
