"""Webhooks as their member and the desk see them, and what a job must know to send a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count, OuterRef, Q, Subquery

from onym.core import webhook as core
from onym.core.errors import NotFound
from onym.queries import handover
from onym.store import clock
from onym.store.models import Delivery, Event, Webhook

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: `id` and `message` are the same at each attempt."""

    id: str
    url: str
    secrets: tuple[str, ...]
    timestamp: int
    message: Mapping[str, Any]
    attempt: int


def webhooks(namespace: str, *, member: str, after: str, limit: int) -> Mapping[str, Any]:
    """A member's own webhooks, the latest first; secrets are not among them."""
    rows = _counted().filter(namespace_id=namespace, member_id=member)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def webhook(id_: str, *, member: str) -> dict[str, Any]:
    """One of the member's own. Refuses `not_found`."""
    row = _counted().filter(pk=id_, member_id=member).first()
    if row is None:
        raise NotFound("no such webhook")
    return view(row)


def secret(id_: str, *, member: str) -> str:
    """For the one answer that shows it. Refuses `not_found`."""
    row = Webhook.objects.filter(pk=id_, member_id=member).first()
    if row is None:
        raise NotFound("no such webhook")
    return row.secret


def _counted() -> Any:
    states = {
        f"count_{state.value}": Count("delivery", filter=Q(delivery__state=state))
        for state in core.State
    }
    return Webhook.objects.annotate(**states)


def view(row: Any) -> dict[str, Any]:
    """The shape of a webhook; `deliveries` counts its messages by state, as far as they are kept.

    `secret_before_until`: until when the secret before still signs beside the present one.
    """
    until = row.secret_before_until
    counts = {state.value: getattr(row, f"count_{state.value}", 0) for state in core.State}
    return {
        "id": row.id,
        "url": row.url,
        "state": row.state,
        "why": row.why or None,
        "made_at": row.made_at,
        "verified_at": row.verified_at,
        "ended_at": row.ended_at,
        "secret_before_until": until if until and until > clock.machine() else None,
        "deliveries": counts,
    }


def deliveries(
    webhook_id: str, *, member: str, state: str, after: str, limit: int
) -> Mapping[str, Any]:
    """Messages to one of the member's own webhooks, the latest first. Refuses `not_found`."""
    webhook(webhook_id, member=member)
    rows = Delivery.objects.filter(webhook_id=webhook_id)
    if state:
        rows = rows.filter(state=state)
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [delivery_view(row) for row in found[:limit]], "next": following}


def delivery_view(row: Delivery) -> dict[str, Any]:
    """The shape of a delivery; `status` and `why` are those of its last attempt."""
    return {
        "id": row.id,
        "webhook": row.webhook_id,
        "leaf_index": row.leaf_index,
        "state": row.state,
        "attempts": row.attempts,
        "status": row.status,
        "why": row.why or None,
        "made_at": row.made_at,
        "answered_at": row.answered_at,
    }


def dead(*, namespace: str, member: str | None = None) -> list[dict[str, Any]]:
    """What was given up and can be sent again, the latest first; of everybody for the desk."""
    rows = Delivery.objects.select_related("webhook").filter(
        state=core.State.DEAD,
        webhook__namespace_id=namespace,
        webhook__state=core.Standing.ACTIVE,
    )
    if member is not None:
        rows = rows.filter(webhook__member_id=member)
    found = rows.order_by("-leaf_index", "-id")[:SHOWN]
    return [
        delivery_view(row)
        | {"host": urlsplit(row.webhook.url).hostname or "", "member": row.webhook.member_id}
        for row in found
    ]


def message(delivery_id: str) -> Message | None:
    """A delivery that is still to be sent, else None."""
    row = Delivery.objects.select_related("webhook").get(pk=delivery_id)
    if row.state != core.State.PENDING or row.webhook.state != core.Standing.ACTIVE:
        return None
    (told,) = handover.views(Event.objects.filter(leaf_index=row.leaf_index))
    return _message(row.webhook, row.id, core.HANDOVER, told, at=told["at"], attempt=row.attempts)


def ping(webhook_id: str) -> Message | None:
    """The first message to an address, as long as it has not answered one."""
    row = Webhook.objects.get(pk=webhook_id)
    if row.state != core.Standing.PENDING:
        return None
    facts = {"webhook": row.id}
    return _message(row, f"{row.id}-ping", core.PING, facts, at=row.made_at, attempt=row.pings)


def _message(
    row: Webhook, id_: str, type_: str, data: Mapping[str, Any], *, at: datetime, attempt: int
) -> Message:
    now = clock.machine()
    return Message(
        id=id_,
        url=row.url,
        secrets=row.secrets_at(now),
        timestamp=int(now.timestamp()),
        message={"type": type_, "timestamp": at, "data": data},
        attempt=attempt,
    )


def due(until: datetime) -> list[tuple[datetime, str, str]]:
    """(instant, flow, id): live webhooks for which there are hand-overs not yet written down."""
    rows = Event.objects.filter(
        namespace=OuterRef("namespace"),
        type=handover.TYPE,
        leaf_index__gt=OuterRef("leaf"),
        at__lte=until,
    )
    first = Subquery(rows.order_by("leaf_index").values("at")[:1])
    live = Webhook.objects.filter(state=core.Standing.ACTIVE).annotate(first=first)
    found = live.exclude(first=None).values_list("first", "id")
    return [(at, "webhook.gather", id_) for at, id_ in found]
