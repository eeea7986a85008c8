"""A member's tokens for the API, as their page lists them."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from onym.store import clock
from onym.store.models import Token

REF = 16


def tokens(member: str) -> list[dict[str, Any]]:
    """Those that are good now, the latest first; of a token only its name and `ref` are known."""
    rows = Token.objects.filter(member_id=member, revoked_at=None)
    good = rows.filter(Q(expires_at=None) | Q(expires_at__gt=clock.machine()))
    return [
        {
            "ref": row.digest[:REF],
            "name": row.name,
            "scopes": sorted(row.scopes),
            "made_at": row.made_at,
            "expires_at": row.expires_at,
        }
        for row in good.order_by("-made_at", "digest")
    ]
