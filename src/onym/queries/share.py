"""Shares of displaced holders: of the accounts that a member holds, and those nobody claimed."""

from __future__ import annotations

from typing import Any

from onym.queries.ground import Ground
from onym.store.models import DisplacedShare, Link


def waiting(looked: Ground, *, member: str) -> list[dict[str, Any]]:
    """What the member may claim now or later."""
    accounts = Link.objects.filter(member_id=member).values("account_id")
    rows = DisplacedShare.objects.filter(
        namespace=looked.place, account_id__in=accounts, claimed_at=None, sale__state="settled"
    )
    found = rows.select_related("sale__handle").order_by("from_at")
    return [_view(row, looked) for row in found if row.is_of(member)]


def unclaimed(looked: Ground) -> list[dict[str, Any]]:
    """What lies in suspense for holders who have not come, for the desk."""
    rows = DisplacedShare.objects.filter(
        namespace=looked.place, claimed_at=None, sale__state="settled"
    )
    found = rows.select_related("sale__handle").order_by("from_at", "sale_id")[:100]
    return [_view(row, looked) for row in found]


def _view(row: DisplacedShare, looked: Ground) -> dict[str, Any]:
    return {
        "sale": row.sale_id,
        "handle": row.sale.handle.display,
        "account": row.account_id,
        "amount": row.amount,
        "from_at": row.from_at,
        "may": looked.now >= row.from_at,
    }
