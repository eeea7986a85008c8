"""What each process last said of an outside's breaker: for whoever watches, for no decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import models
from django.db.models import UniqueConstraint

STALE = timedelta(minutes=10)


class BreakerState(models.Model):
    """A row for each outside and process, written only when the breaker changes.

    `until` is the machine's instant up to which it stays so, unless a probe is answered before.
    """

    outside = models.CharField(max_length=80)
    process = models.CharField(max_length=120)
    state = models.CharField(max_length=10)
    until = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = (UniqueConstraint(name="breaker_state", fields=("outside", "process")),)


def write(*, outside: str, process: str, state: str, seconds: float, at: datetime) -> None:
    """Take down a change."""
    row = BreakerState(
        outside=outside,
        process=process,
        state=state,
        until=at + timedelta(seconds=seconds),
        changed_at=at,
    )
    BreakerState.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=("outside", "process"),
        update_fields=("state", "until", "changed_at"),
    )


def shut(*, at: datetime) -> Sequence[str]:
    """The outsides that some process finds failing; one that has not been heard of for ten minutes
    after its time counts no more, for its process may be gone."""
    rows = BreakerState.objects.exclude(state="closed").filter(until__gte=at - STALE)
    return sorted(set(rows.values_list("outside", flat=True)))
