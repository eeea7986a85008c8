"""Invoices and credit notes, never changed once issued, numbered without gaps."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import invoice as core
from onym.core.money import Money
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.people import Member
from onym.store.sale import Sale


class InvoiceSeries(models.Model):
    """The last number of a kind in a year; its row is locked by whoever takes the next one."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=12)
    year = models.IntegerField()
    last = models.IntegerField(default=0)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_invoice_series", fields=("namespace", "kind", "year")),
        )


class Invoice(models.Model):
    """One document to a sale's buyer; `facts_sealed` is all it says, `sha256` their digest.

    The database refuses every change (migration 0025).
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=12)
    year = models.IntegerField()
    place = models.IntegerField()
    sale = models.ForeignKey(Sale, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    gross_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    facts_sealed = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    issued_at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_invoice", fields=("namespace", "kind", "year", "place")),
            UniqueConstraint(name="one_invoice_per_sale", fields=("sale", "kind")),
            CheckConstraint(name="invoice_kind", condition=Q(kind__in=list(core.Kind))),
        )

    @property
    def number(self) -> str:
        return core.number(core.Kind(self.kind), year=self.year, place=self.place)

    @property
    def gross(self) -> Money:
        return Money(self.gross_minor, self.currency)

    @property
    def facts(self) -> dict[str, Any]:
        """What it says; other bytes than those that were issued are a fault."""
        text = secrets.open_(bytes(self.facts_sealed), place=f"invoice.facts/{self.id}")
        found: dict[str, Any] = json.loads(text)
        if core.sha256(found) != self.sha256:
            raise ValueError(f"{self.id} is not what was issued")
        return found
