"""Fixed-price listings."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import listing as core
from onym.core.money import Money
from onym.core.term import Term
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member


class Listing(models.Model):
    """A seller's standing statement of sale."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    seller = models.ForeignKey(Member, models.PROTECT)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, default="open")
    term = models.CharField(max_length=7, default="handle", db_default="handle")
    versions = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_open_listing", fields=("handle",), condition=Q(state="open")
            ),
            CheckConstraint(name="listing_state", condition=Q(state__in=list(core.State))),
            CheckConstraint(name="listing_term", condition=Q(term__in=list(Term))),
            CheckConstraint(name="listing_price", condition=Q(price_minor__gt=0)),
        )

    def snapshot(self) -> core.Listing:
        return core.Listing(
            id=self.id,
            seller=self.seller_id,
            price=Money(self.price_minor, self.currency),
            state=core.State(self.state),
            term=Term(self.term),
        )
