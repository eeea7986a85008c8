"""Payments that a buyer's bank has taken back, each once; docs/concepts/chargebacks.md."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.core import chargeback as core
from onym.core.money import Money
from onym.store.sale import Sale
from onym.store.wallet import Deposit


class Chargeback(models.Model):
    """One of them as the provider last told; `source` is where its money came from.

    It is of a sale's payment, or of a deposit, of which `wallet_minor` still lay in the wallet.
    """

    id = models.CharField(max_length=40, primary_key=True)
    sale = models.ForeignKey(Sale, models.PROTECT, null=True)
    deposit = models.ForeignKey(Deposit, models.PROTECT, null=True)
    provider = models.CharField(max_length=20)
    provider_id = models.CharField(max_length=80)
    status = models.CharField(max_length=8)
    source = models.CharField(max_length=12)
    amount_minor = models.BigIntegerField()
    wallet_minor = models.BigIntegerField(default=0, db_default=0)
    recovered_minor = models.BigIntegerField(default=0, db_default=0)
    written_off_minor = models.BigIntegerField(default=0, db_default=0)
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
            CheckConstraint(
                name="chargeback_of_one_payment",
                condition=Q(sale__isnull=False, deposit=None)
                | Q(sale=None, deposit__isnull=False, source="wallet"),
            ),
            CheckConstraint(
                name="chargeback_wallet_within",
                condition=Q(wallet_minor__gte=0, wallet_minor__lte=F("amount_minor")),
            ),
            CheckConstraint(
                name="chargeback_met_within",
                condition=Q(
                    recovered_minor__gte=0,
                    written_off_minor__gte=0,
                    recovered_minor__lte=F("amount_minor")
                    - F("wallet_minor")
                    - F("written_off_minor"),
                ),
            ),
        )

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def open_minor(self) -> int:
        """What of it lay nowhere when the bank took it, and nobody has made good."""
        met = self.wallet_minor + self.recovered_minor + self.written_off_minor
        return self.amount_minor - met

    @property
    def left(self) -> Money:
        return Money(self.open_minor, self.currency)

    @property
    def place(self) -> str:
        """The namespace of what was paid."""
        paid = self.sale or self.deposit
        assert paid is not None  # noqa: S101 - a constraint says so
        return paid.namespace_id
