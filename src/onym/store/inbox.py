"""What the payment provider has told: each event once, however often it was delivered."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint


class ProviderEvent(models.Model):
    """A signed event, as a hint: which things to ask about, never what became of them.

    Instants are the machine's, as the provider's are. What it says about people is not kept.
    """

    namespace = models.CharField(max_length=40)
    provider = models.CharField(max_length=20)
    event = models.CharField(max_length=120)
    kind = models.CharField(max_length=80)
    intent_id = models.CharField(max_length=120, default="")
    sale_id = models.CharField(max_length=120, default="")
    account_id = models.CharField(max_length=120, default="")
    created_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    outcome = models.CharField(max_length=16, default="waiting")
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="event_once", fields=("provider", "event")),
            CheckConstraint(
                name="delivery_outcome",
                condition=Q(outcome__in=("waiting", "asked", "nothing_open", "unknown")),
            ),
        )
        indexes = (Index("received_at", name="delivery_waiting", condition=Q(outcome="waiting")),)
