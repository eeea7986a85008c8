"""The part of a primary sale's price that is set aside for whoever lost the handle."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q

from onym.core.money import Money
from onym.store.desk import Namespace
from onym.store.people import Member
from onym.store.sale import Sale


class DisplacedShare(models.Model):
    """In suspense until a member who is linked to the account claims it, not before `from_at`."""

    sale = models.OneToOneField(Sale, models.PROTECT, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    account_id = models.TextField()
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    from_at = models.DateTimeField()
    claimed_by = models.ForeignKey(Member, models.PROTECT, null=True)
    claimed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="share_positive", condition=Q(minor__gt=0)),
            CheckConstraint(
                name="share_claimed_by_somebody",
                condition=Q(claimed_at=None, claimed_by=None)
                | Q(claimed_at__isnull=False, claimed_by__isnull=False),
            ),
        )

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)
