"""Events: what happened, once each; a webhook delivery is a hint that one exists."""

from __future__ import annotations

from onym_demo.payments import faults
from onym_demo.payments.provider import API_VERSION, Provider, sale_of
from onym_demo.payments.wire import JSON, new_id

DUPLICATES = 3
"""How many copies a `duplicate` fault sends unless its `seconds` say otherwise."""


def record(provider: Provider, kind: str, body: JSON, *, account: str = "") -> JSON:
    """Keep an event about `body` as it is now, and queue its delivery."""
    event: JSON = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": provider.now(),
        "data": {"object": body},
        "livemode": False,
        "pending_webhooks": int(bool(provider.options.webhook_url)),
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    if account:
        event["account"] = account
    provider.state.put(event)
    if provider.options.webhook_url:
        _queue(provider, event["id"], sale_of(body))
    return event


def _queue(provider: Provider, event_id: str, sale_id: str) -> None:
    fault = faults.take(provider.state, verb="webhooks", sale_id=sale_id)
    if fault.kind == "drop":
        return
    now = provider.clock.machine()
    wait = {"delay": fault.seconds, "reorder": fault.seconds or 1.0}.get(fault.kind, 0.0)
    copies = int(fault.seconds) or DUPLICATES if fault.kind == "duplicate" else 1
    for _ in range(copies):
        provider.state.db.execute(
            "INSERT INTO deliveries (event, due, first, trick, seconds) VALUES (?, ?, ?, ?, ?)",
            (event_id, now + wait, now, fault.kind, fault.seconds),
        )
