"""Invoices and credit notes as their buyers and staff read them."""

from __future__ import annotations

from typing import Any

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.store.models import Invoice


def invoice(id_: str, *, viewer: str, sees_all_of: str) -> dict[str, Any]:
    """All that it says, checked against its digest. Whoever it is not for finds nothing; staff
    read those of their namespace, `sees_all_of`.
    """
    row = Invoice.objects.filter(pk=id_).first()
    if row is None or not (viewer == row.member_id or sees_all_of == row.namespace_id):
        raise NotFound("no such invoice")
    facts = row.facts
    return facts | {
        "id": row.id,
        "issued_at": row.issued_at,
        "gross": row.gross,
        "sha256": row.sha256,
        "lines": [
            {"what": line["what"], "amount": Money(int(line["minor"]), row.currency)}
            for line in facts["lines"]
        ],
    }


def of_sale(sale_id: str, *, viewer: str, sees_all: bool) -> list[dict[str, Any]]:
    """The documents of a sale that its buyer may read."""
    rows = Invoice.objects.filter(sale_id=sale_id)
    return [_named(row) for row in (rows if sees_all else rows.filter(member_id=viewer))]


def of_member(member: str) -> list[dict[str, Any]]:
    """A member's own documents, the latest first."""
    rows = Invoice.objects.filter(member_id=member).order_by("-issued_at", "-id")
    return [_named(row) for row in rows[:200]]


def _named(row: Invoice) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "kind": row.kind,
        "gross": row.gross,
        "issued_at": row.issued_at,
        "sale": row.sale_id,
    }
