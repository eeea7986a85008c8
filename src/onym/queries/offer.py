"""Offers as their two parties see them."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from django.db.models import Prefetch, Q

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.store import secrets
from onym.store.models import Link, Offer, OfferMove


def offer(offer_id: str, *, viewer: str) -> dict[str, Any]:
    """One offer with its moves. Whoever is no party finds nothing."""
    row = _mine(viewer).filter(pk=offer_id).first()
    if row is None:
        raise NotFound("no such offer")
    return view(row)


def offers(namespace: str, *, viewer: str, after: str, limit: int) -> Mapping[str, Any]:
    """What a member has offered and been offered, the latest first."""
    rows = _mine(viewer).filter(namespace_id=namespace)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def by_token(token: str) -> dict[str, Any]:
    """The offer that a message's link is about. Refuses `not_found`."""
    rows = Offer.objects.select_related("handle")
    row = rows.filter(token_digest=secrets.digest(token)).first()
    if row is None:
        raise NotFound("no such offer")
    return view(row)


def _mine(viewer: str) -> Any:
    accounts = Link.objects.filter(member_id=viewer, unlinked_at=None).values("account_id")
    mine = Q(buyer_id=viewer) | Q(holder_account_id__in=accounts)
    moves = Prefetch("offermove_set", OfferMove.objects.order_by("id"))
    return Offer.objects.select_related("handle").prefetch_related(moves).filter(mine)


def view(row: Offer) -> dict[str, Any]:
    """The shape of an offer; the asked side is an account, never a person."""
    return {
        "id": row.id,
        "handle": row.handle.handle,
        "buyer": row.buyer_id,
        "holder": {"account_id": row.holder_account_id},
        "price": Money(row.price_minor, row.currency),
        "state": row.state,
        "turn": row.turn,
        "made_at": row.made_at,
        "expires_at": row.expires_at,
        "moves": [
            {
                "by": move.by,
                "move": move.move,
                "price": Money(move.price_minor, row.currency),
                "at": move.at,
            }
            for move in sorted(row.offermove_set.all(), key=attrgetter("id"))
        ],
    }
