"""The part of a primary sale's price that is set aside for whoever lost the handle."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Min, Q

from onym.core.money import Money
from onym.store.desk import Namespace
from onym.store.people import Link, Member
from onym.store.sale import Sale
from onym.store.transfer import Transfer


class DisplacedShare(models.Model):
    """In suspense until the member whose account it was claims it, not before `from_at`."""

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

    def is_of(self, member: str) -> bool:
        """Whether the member has the account, or had it when it was first handed on as a whole
        after the sale: the share does not go with it."""
        links = Link.objects.filter(
            member_id=member, namespace_id=self.namespace_id, account_id=self.account_id
        )
        handed = Transfer.objects.filter(
            namespace_id=self.namespace_id,
            to=self.account_id,
            hands_to__isnull=False,
            read_back_account_id__isnull=False,
            read_back_at__gt=self.sale.agreed_at,
        ).aggregate(at=Min("read_back_at"))["at"]
        if handed is None:
            return links.filter(unlinked_at=None).exists()
        had = Q(unlinked_at=None) | Q(unlinked_at__gte=handed)
        return links.filter(had, linked_at__lt=handed).exists()

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)
