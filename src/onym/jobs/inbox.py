"""What the payment provider told of, followed up apart from the answer to its delivery."""

from __future__ import annotations

from onym.flows import inbox
from onym.jobs.queue import task


@task("inbox.follow")
def follow(*, delivery_id: int) -> None:
    """Order the questions that one event is about."""
    inbox.follow(delivery_id=delivery_id)
