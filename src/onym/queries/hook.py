"""Calls to the operator's hooks: the next one to make, and how they stand for those who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onym.core.hook import OPEN, State
from onym.store.models import HookCall, Transfer

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a hook: `wish` under `key`, the same until it answers."""

    id: str
    namespace: str
    url: str
    key: str
    wish: Mapping[str, Any]


def following(about: str) -> Call | None:
    """The first hook that has not answered yet, None after the last."""
    rows = HookCall.objects.select_related("handle").filter(about=about, state__in=OPEN)
    row = rows.order_by("position").first()
    if row is None:
        return None
    wish = {
        "hook": row.name,
        "handle": row.handle.handle,
        "holder_before": row.holder_before,
        "holder_after": row.holder_after,
        "at": row.ordered_at.isoformat().replace("+00:00", "Z"),
        "about": row.about,
    }
    return Call(row.id, row.handle.namespace_id, row.url, f"{row.id}-{row.series}", wish)


def of_sale(sale_id: str) -> list[dict[str, Any]]:
    """The hooks called after the sale's hand-over, in their order."""
    transfers = Transfer.objects.filter(sale_id=sale_id).values("id")
    rows = HookCall.objects.select_related("handle").filter(about__in=transfers)
    return [view(row) for row in rows.order_by("ordered_at", "position")]


def not_done(namespace: str) -> list[dict[str, Any]]:
    """What the operator's systems have not ended yet, the oldest first."""
    rows = HookCall.objects.select_related("handle").exclude(state=State.DONE)
    found = rows.filter(handle__namespace_id=namespace).order_by("ordered_at", "position")
    return [view(row) for row in found[:SHOWN]]


def view(row: HookCall) -> dict[str, Any]:
    """How one call stands."""
    return {
        "id": row.id,
        "name": row.name,
        "handle": row.handle.handle,
        "state": row.state,
        "code": row.code or None,
        "ordered_at": row.ordered_at,
        "answered_at": row.answered_at,
    }
