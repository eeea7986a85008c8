"""Open and closed listings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.store.models import Listing


def listing(listing_id: str) -> dict[str, Any]:
    """One listing. Refuses `not_found`."""
    row = Listing.objects.select_related("handle").filter(pk=listing_id).first()
    if row is None:
        raise NotFound("no such listing")
    return view(row)


def last_of(namespace: str, *, handle: str, seller: str) -> dict[str, Any]:
    """The listing that `seller` opened last for a handle. Refuses `not_found`."""
    rows = Listing.objects.select_related("handle").filter(
        namespace_id=namespace, handle__handle=handle, seller_id=seller
    )
    row = rows.order_by("-id").first()
    if row is None:
        raise NotFound("no such listing")
    return view(row)


def listings(namespace: str, *, state: str, after: str, limit: int) -> Mapping[str, Any]:
    """Listings in `state`, the latest first."""
    rows = Listing.objects.select_related("handle").filter(namespace_id=namespace, state=state)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def view(row: Listing) -> dict[str, Any]:
    """The shape of a listing."""
    return {
        "id": row.id,
        "handle": row.handle.handle,
        "seller": row.seller_id,
        "price": Money(row.price_minor, row.currency),
        "term": row.term,
        "state": row.state,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
    }
