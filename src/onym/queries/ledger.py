"""A member's statement: every posting on their accounts, with what it was for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onym.core.money import Money
from onym.store.models import BookAccount, Posting, Sale


def statement(member: str) -> dict[str, Any]:
    """Balances, and lines in order; purchases are listed beside, as they never touch a balance."""
    accounts = BookAccount.objects.filter(member_id=member).order_by("code")
    return {
        "balances": [
            {"account": row.code, "balance": Money(row.balance_minor or 0, row.currency)}
            for row in accounts
        ],
        "items": list(_lines(member)),
        "purchases": list(_purchases(member)),
    }


def _lines(member: str) -> Iterator[dict[str, Any]]:
    running: dict[int, int] = {}
    rows = Posting.objects.filter(account__member_id=member).select_related("entry", "account")
    for row in rows.order_by("id"):
        running[row.account_id] = running.get(row.account_id, 0) + row.minor
        yield {
            "id": row.entry_id,
            "at": row.entry.at,
            "kind": row.entry.kind,
            "ref": row.entry.ref,
            "account": row.account.code,
            "amount": Money(row.minor, row.currency),
            "balance": Money(running[row.account_id], row.currency),
        }


def _purchases(member: str) -> Iterator[dict[str, Any]]:
    rows = Sale.objects.filter(buyer_id=member).select_related("handle").order_by("id")
    for row in rows.exclude(funded_at=None):
        yield {
            "sale": row.id,
            "handle": row.handle.handle,
            "at": row.funded_at,
            "gross": row.money("gross"),
            "state": row.state,
        }
