"""Cases of names that are like listed ones, as the desk sees them."""

from __future__ import annotations

from typing import Any

from onym.queries.ground import Ground
from onym.store.models import ScreeningCase


def cases(looked: Ground) -> list[dict[str, Any]]:
    """Open ones first, then what was decided, the latest first."""
    rows = ScreeningCase.objects.filter(namespace=looked.place)
    found = rows.select_related("member", "decided_by").order_by("-found_at", "-id")[:200]
    return sorted((view(row) for row in found), key=lambda one: one["state"] != "open")


def view(row: ScreeningCase) -> dict[str, Any]:
    """Name and entry side by side."""
    return {
        "id": row.id,
        "member": row.member_id,
        "name": row.name,
        "goes_by": row.member.name,
        "entry": row.entry,
        "percent": row.percent,
        "state": row.state,
        "found_at": row.found_at,
        "decided_at": row.decided_at,
        "decided_by": (row.decided_by.name or row.decided_by_id) if row.decided_by else None,
    }
