"""Subscriptions of relying sites, and each message to them with its fate.

Addresses and secrets are sealed; attempts run on the machine's clock.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import webhook as core
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.people import Member


class Webhook(models.Model):
    """An address that is told of hand-overs; `leaf` is the last one written down for it."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    url_sealed = models.BinaryField()
    url_index = models.CharField(max_length=64)
    secret_sealed = models.BinaryField()
    secret_before_sealed = models.BinaryField(null=True)
    secret_before_until = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, default="pending")
    leaf = models.BigIntegerField()
    pings = models.PositiveSmallIntegerField(default=0)
    made_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=20, default="")

    class Meta:
        constraints = (
            CheckConstraint(name="webhook_state", condition=Q(state__in=list(core.Standing))),
            CheckConstraint(
                name="webhook_ended", condition=Q(state=core.Standing.ENDED) ^ Q(ended_at=None)
            ),
            CheckConstraint(
                name="webhook_secret_before",
                condition=Q(secret_before_sealed=None, secret_before_until=None)
                | Q(secret_before_sealed__isnull=False, secret_before_until__isnull=False),
            ),
            UniqueConstraint(
                name="one_webhook_per_address",
                fields=("member", "url_index"),
                condition=~Q(state=core.Standing.ENDED),
            ),
        )

    @property
    def url(self) -> str:
        return secrets.open_(self.url_sealed, place=f"webhook.url/{self.id}")

    @property
    def secret(self) -> str:
        return secrets.open_(self.secret_sealed, place=f"webhook.secret/{self.id}")

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """What messages are signed with: the secret, and the one before while it counts."""
        if self.secret_before_sealed is None or now >= (self.secret_before_until or now):
            return (self.secret,)
        before = secrets.open_(self.secret_before_sealed, place=f"webhook.secret/{self.id}")
        return self.secret, before


class Delivery(models.Model):
    """One leaf told to one subscriber; the id is the message's for ever."""

    id = models.CharField(max_length=40, primary_key=True)
    webhook = models.ForeignKey(Webhook, models.PROTECT)
    leaf_index = models.BigIntegerField()
    state = models.CharField(max_length=10, default="pending")
    attempts = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True)
    why = models.CharField(max_length=40, default="")
    made_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="delivery_state", condition=Q(state__in=list(core.State))),
            UniqueConstraint(name="one_delivery_per_leaf", fields=("webhook", "leaf_index")),
        )
        indexes = (
            models.Index(
                name="delivery_dead", fields=("webhook", "leaf_index"), condition=Q(state="dead")
            ),
        )
