"""Double-entry books: immutable postings whose sum per entry and currency is zero.

The database enforces it: a deferred trigger sums each entry at commit, another forbids update and
delete (migration 0002). Only member accounts carry a cached balance; house accounts are hot.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.store.desk import Namespace
from onym.store.people import Member


class BookAccount(models.Model):
    """One account of the books, e.g. `escrow:sal_…`; `member:<id>:payable` has a balance."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    code = models.CharField(max_length=120)
    currency = models.CharField(max_length=3)
    member = models.ForeignKey(Member, models.PROTECT, null=True)
    balance_minor = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_book_account", fields=("namespace", "code", "currency")),
            CheckConstraint(
                name="member_balance_not_negative",
                condition=Q(balance_minor=None) | Q(balance_minor__gte=0),
            ),
        )


class Entry(models.Model):
    """One business fact in the books; (kind, ref) makes a second booking of it impossible."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=24)
    ref = models.CharField(max_length=60)
    provider_id = models.CharField(max_length=80, null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_entry_per_fact", fields=("namespace", "kind", "ref")),
            UniqueConstraint(
                name="one_entry_per_payment",
                fields=("kind", "provider_id"),
                condition=Q(provider_id__isnull=False),
            ),
        )


class Posting(models.Model):
    """A signed amount on an account: positive is credited to it, negative taken from it."""

    entry = models.ForeignKey(Entry, models.PROTECT)
    account = models.ForeignKey(BookAccount, models.PROTECT)
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta:
        constraints = (CheckConstraint(name="posting_not_zero", condition=~Q(minor=0)),)
