"""What the market tells everybody who asks regularly: new listings, settled sales, open pages."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from onym.core import listing, sale
from onym.core.money import Money
from onym.store.models import Listing, Sale


class Item(NamedTuple):
    """One public fact; `id` is that of the listing or sale and never changes."""

    id: str
    handle: str
    price: Money
    at: datetime


def listings(namespace: str, *, limit: int) -> list[Item]:
    """Open listings, the latest first."""
    rows = Listing.objects.filter(namespace_id=namespace, state=listing.State.OPEN)
    found = rows.select_related("handle").order_by("-opened_at", "-id")[:limit]
    return [
        Item(row.id, row.handle.display, Money(row.price_minor, row.currency), row.opened_at)
        for row in found
    ]


def sales(namespace: str, *, limit: int) -> list[Item]:
    """Settled sales, the latest first: before a sale settles, its price may be private."""
    rows = Sale.objects.filter(namespace_id=namespace, state=sale.State.SETTLED)
    rows = rows.exclude(closed_at=None).select_related("handle")
    return [
        Item(row.id, row.handle.display, row.money("price"), row.closed_at)
        for row in rows.order_by("-closed_at", "-id")[:limit]
        if row.closed_at
    ]
