"""Offers as their two parties see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db.models import Prefetch, Q

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.queries import ground
from onym.queries.ground import Ground
from onym.store import clock, secrets
from onym.store.models import Link, Offer, OfferMove, Sale


def offer(offer_id: str, *, viewer: str, now: datetime | None = None) -> dict[str, Any]:
    """One offer with its moves. Whoever is no party finds nothing."""
    row = _mine(viewer).filter(pk=offer_id).first()
    if row is None:
        raise NotFound("no such offer")
    return _at(view(row), now or clock.now())


def _at(seen: dict[str, Any], now: datetime) -> dict[str, Any]:
    """As it stands at `now`, whether or not the clock's job has written it down."""
    is_over = seen["state"] == "open" and now >= seen["expires_at"]
    return seen | {"state": "expired"} if is_over else seen


def side(seen: Mapping[str, Any], *, viewer: str) -> str:
    """Which of its two parties the viewer is: buyer or seller."""
    return "buyer" if seen["buyer"] == viewer else "seller"


def offers(namespace: str, *, viewer: str, after: str, limit: int) -> Mapping[str, Any]:
    """What a member has offered and been offered, the latest first."""
    rows = _mine(viewer).filter(namespace_id=namespace)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def by_token(token: str, *, now: datetime | None = None) -> dict[str, Any]:
    """The offer that a message's link is about. Refuses `not_found`."""
    rows = Offer.objects.select_related("handle")
    digest = secrets.digest(token)
    row = rows.filter(Q(token_digest=digest) | Q(mail_digest=digest)).first()
    if row is None:
        raise NotFound("no such offer")
    return _at(view(row), now or clock.now())


def sale_of(offer_id: str) -> str | None:
    """The sale that an accepted offer has become."""
    found: str | None = Sale.objects.filter(by=offer_id).values_list("id", flat=True).first()
    return found


def by_side(
    place: str | Ground, *, viewer: str, limit: int = 200
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """A member's offers, the latest first: all of them, and by what they wait for.

    `yours`: this member's answer is awaited; `theirs`: the other side's; `ended`: nobody's.
    """
    looked = ground.of(place)
    rows = _mine(viewer).filter(namespace=looked.place).order_by("-id")[:limit]
    found = [_at(view(row), looked.now) for row in rows]
    sides: dict[str, list[dict[str, Any]]] = {"yours": [], "theirs": [], "ended": []}
    for one in found:
        one["side"] = side(one, viewer=viewer)
        mine = "yours" if one["turn"] == one["side"] else "theirs"
        sides[mine if one["state"] == "open" else "ended"].append(one)
    return found, sides


def awaiting(place: Ground, *, viewer: str, accounts: Sequence[str]) -> list[dict[str, Any]]:
    """Open offers that wait for this member's answer: what they are about, in one statement."""
    asked = Q(turn="buyer", buyer_id=viewer) | Q(turn="seller", holder_account_id__in=accounts)
    rows = Offer.objects.select_related("handle").filter(
        asked, namespace=place.place, state="open", expires_at__gt=place.now
    )
    return [
        {
            "id": row.id,
            "handle": row.handle.handle,
            "price": Money(row.price_minor, row.currency),
            "expires_at": row.expires_at,
        }
        for row in rows.order_by("expires_at", "id")[:50]
    ]


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
        "term": row.term,
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
