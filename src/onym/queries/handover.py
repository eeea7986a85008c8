"""Hand-overs in the order of the log: what a relying site reads to know whom a handle means now.

Nothing here is about a person: handles and permanent account ids only; docs/guides/relying.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onym.core import events
from onym.store.models import Event, Transfer

TYPE = "TransferReadBack"


def handovers(namespace: str, *, after: int, limit: int) -> Mapping[str, Any]:
    """Read-backs whose leaf comes after leaf `after`, the oldest first; `next` is a leaf or None.

    A page whose `next` is not None is full and never changes.
    """
    rows = read_backs(namespace, after=after)
    found = list(rows[: limit + 1])
    following = found[limit - 1].leaf_index if len(found) > limit else None
    return {"items": views(found[:limit]), "next": following}


def read_backs(namespace: str, *, after: int) -> Any:
    """The rows behind, in the order of their leaves."""
    rows = Event.objects.filter(namespace_id=namespace, type=TYPE, leaf_index__gt=after)
    return rows.order_by("leaf_index")


def views(rows: Iterable[Event]) -> list[dict[str, Any]]:
    """Their shape, here and in a webhook: `account_id` holds `handle` since `valid_since`, and
    gave up the handle `vacated`, which is kept for it for a time.
    """
    found = list(rows)
    vacated = dict(
        Transfer.objects.filter(pk__in=[row.ref for row in found]).values_list("id", "vacated")
    )
    return [_view(row, vacated=vacated.get(row.ref)) for row in found]


def _view(row: Event, *, vacated: str | None) -> dict[str, Any]:
    body = events.read(bytes(row.entry)).body
    return {
        "leaf_index": row.leaf_index,
        "namespace": row.namespace_id,
        "handle": body["handle"],
        "account_id": body["holder_after"],
        "holder_before": body["holder_before"],
        "holder_after": body["holder_after"],
        "valid_since": row.at,
        "at": row.at,
        "vacated": vacated,
        "transfer": row.ref,
        "sale": body.get("sale"),
        "term": body.get("term", "handle"),
    }
