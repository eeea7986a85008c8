"""Sending messages to relying sites: one attempt a job; the flow says whether there is another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from onym.core.webhook import Said
from onym.flows import webhook as flow
from onym.jobs.queue import task
from onym.ports import webhooks
from onym.queries import webhook as queries


@task("webhook.ping")
def ping(*, webhook_id: str) -> None:
    """The first message to an address, which has to answer it before anything else is sent."""
    message = queries.ping(webhook_id)
    if message is not None:
        flow.record_ping(webhook_id=webhook_id, said=_post(message))


@task("webhook.deliver")
def deliver(*, delivery_id: str, attempt: int) -> None:
    """One attempt; a copy of a job that was recorded already does nothing."""
    message = queries.message(delivery_id)
    if message is not None and message.attempt == attempt:
        flow.record_attempt(delivery_id=delivery_id, attempt=attempt, said=_post(message))


def _post(message: queries.Message) -> Said:
    return webhooks.post(
        url=message.url,
        secrets=message.secrets,
        id=message.id,
        timestamp=message.timestamp,
        message=_plain(message.message),
        loopback=settings.DEMO,
    )


def _plain(value: Any) -> Any:
    """Instants as the API writes them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value
