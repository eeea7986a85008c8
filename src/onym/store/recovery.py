"""Parts of claims of the house that were met later; docs/concepts/chargebacks.md."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core.money import Money
from onym.store.chargeback import Chargeback
from onym.store.sale import Payout


class Recovery(models.Model):
    """`minor` of what a bank took were taken off a payout; without one, off the house's revenue."""

    id = models.CharField(max_length=40, primary_key=True)
    chargeback = models.ForeignKey(Chargeback, models.PROTECT)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True)
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            CheckConstraint(name="recovery_positive", condition=Q(minor__gt=0)),
            UniqueConstraint(name="recovery_once", fields=("chargeback", "payout")),
        )

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)
