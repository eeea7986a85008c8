"""A member's watches and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Max, Min, Q

from onym.core.money import Money
from onym.store import watch as store
from onym.store.models import Event, Watch, WatchCursor, WatchHit

SHOWN = 20


def watches(namespace: str, *, member: str, after: str, limit: int) -> Mapping[str, Any]:
    """A member's own watches, the latest first."""
    rows = _mine(member).filter(namespace_id=namespace)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def alerts(member: str) -> dict[str, Any]:
    """My market → alerts: all `watches`, and the latest `hits` with the handle they are about."""
    hits = WatchHit.objects.filter(watch__member_id=member)
    rows = hits.select_related("handle__namespace").order_by("-at", "-pk")
    return {
        "watches": [view(row) for row in _mine(member).order_by("-id")],
        "hits": [hit_view(row) for row in rows[:SHOWN]],
    }


def on(handle: str, *, member: str) -> str | None:
    """The member's watch of a handle (canonical), None: it is not watched."""
    rows = Watch.objects.filter(member_id=member, handle__handle=handle)
    found: str | None = rows.values_list("id", flat=True).first()
    return found


def _mine(member: str) -> Any:
    return Watch.objects.select_related("handle", "namespace").filter(member_id=member)


def view(row: Watch) -> dict[str, Any]:
    """The shape of a watch: `handle`, or else `prefix`, `tier`, `max_price` of a search."""
    most = row.max_price_minor
    return {
        "id": row.id,
        "handle": row.handle.handle if row.handle else None,
        "prefix": row.prefix or None,
        "tier": row.tier or None,
        "max_price": Money(most, row.namespace.currency) if most else None,
        "mail": row.mail,
        "made_at": row.made_at,
    }


def hit_view(row: WatchHit) -> dict[str, Any]:
    """The shape of a hit: `what` is listed, price_changed, sold, released or freed."""
    minor = row.price_minor
    return {
        "watch": row.watch_id,
        "handle": row.handle.handle,
        "what": row.what,
        "price": Money(minor, row.handle.namespace.currency) if minor else None,
        "at": row.at,
    }


def due(until: datetime) -> list[tuple[datetime, str, str]]:
    """(instant, flow, id): leaves that nobody has read for the watches, and letters to be sent."""
    found = []
    for cursor in WatchCursor.objects.all():
        rows = Event.objects.filter(namespace_id=cursor.namespace_id, leaf_index__gt=cursor.leaf)
        rows = rows.filter(type__in=store.TYPES, at__lte=until)
        first = rows.order_by("leaf_index").values_list("at", flat=True).first()
        if first is not None:
            found.append((first, "watch.gather", cursor.namespace_id))
    return found + [item for item in _letters() if item[0] <= until]


def _letters() -> list[tuple[datetime, str, str]]:
    """A member's first letter at once, the next ones a day after the last."""
    mine = WatchHit.objects.filter(watch__mail=True).values("watch__member_id")
    untold = mine.annotate(first=Min("at", filter=Q(told_at=None)), last=Max("told_at"))
    found = []
    for row in untold.filter(first__isnull=False):
        earliest = row["last"] + store.BETWEEN if row["last"] else row["first"]
        found.append((max(row["first"], earliest), "watch.tell", row["watch__member_id"]))
    return found
