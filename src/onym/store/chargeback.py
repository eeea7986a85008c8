"""Payments that a buyer's bank has taken back, each once; docs/concepts/chargebacks.md."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import chargeback as core
from onym.core.money import Money
from onym.store.sale import Sale


class Chargeback(models.Model):
    """One of them as the provider last told; `source` is where its money came from."""

    id = models.CharField(max_length=40, primary_key=True)
    sale = models.ForeignKey(Sale, models.PROTECT)
    provider = models.CharField(max_length=20)
    provider_id = models.CharField(max_length=80)
    status = models.CharField(max_length=8)
    source = models.CharField(max_length=12)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=60, default="")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="chargeback_once", fields=("provider", "provider_id")),
            CheckConstraint(name="chargeback_status", condition=Q(status__in=list(core.Status))),
            CheckConstraint(name="chargeback_source", condition=Q(source__in=list(core.Source))),
            CheckConstraint(name="chargeback_positive", condition=Q(amount_minor__gt=0)),
        )

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)
