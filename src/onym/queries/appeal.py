"""A member's own appeals, and what they may still appeal against; docs/concepts/reclaim.md."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from onym.core.money import Money
from onym.store.models import Appeal, Link, Reclaim


def mine(member: str, *, namespace: str) -> list[dict[str, Any]]:
    """Opened by the member or for an account of theirs, the latest first, with their own words."""
    rows = Appeal.objects.select_related("handle", "sale").filter(
        Q(member_id=member) | Q(account_id__in=_accounts(member)), namespace_id=namespace
    )
    return [_view(row) for row in rows.order_by("-opened_at", "-id")]


def _view(row: Appeal) -> dict[str, Any]:
    paid = Money(row.compensation_minor, row.sale.currency) if row.sale else None
    return {
        "id": row.id,
        "handle": row.handle.display,
        "state": row.state,
        "text": row.text,
        "opened_at": row.opened_at,
        "decided_at": row.decided_at,
        "reasons": list(row.reasons),
        "remedy": row.remedy,
        "compensation": paid,
    }


def lost(member: str, *, namespace: str) -> list[str]:
    """Handles that a decision took from the member's accounts, the latest first."""
    rows = Reclaim.objects.select_related("handle").filter(
        Q(ending=None) | Q(ending="gone"),
        account_id__in=_accounts(member),
        plan__namespace_id=namespace,
    )
    return [row.handle.handle for row in rows.order_by("-pk")]


def _accounts(member: str) -> Any:
    return Link.objects.filter(member_id=member, unlinked_at=None).values("account_id")
