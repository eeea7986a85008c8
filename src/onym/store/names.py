"""Handles that somebody touched, their tenures, the lists, and the one sale slot per handle.

Everything that may happen to a handle is decided under the row lock of its `Handle` row.
"""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import CheckConstraint, F, Func, Q, UniqueConstraint

from onym.core import handle as core
from onym.store.desk import Namespace


class DirectoryImport(models.Model):
    """One import of the platform's account table: where its snapshot lies and what it proves."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    path = models.TextField()
    rows = models.BigIntegerField()
    root = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()


class Handle(models.Model):
    """A touched handle; the row wins over every snapshot.

    `account_id` is the holder now (null: nobody), `fence` rises with every write to the platform.
    """

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.TextField()
    display = models.TextField()
    state = models.CharField(max_length=12)
    account_id = models.TextField(null=True)
    locked_by = models.CharField(max_length=40, null=True)
    fence = models.BigIntegerField(default=0)
    minimum_offer_minor = models.BigIntegerField(null=True)
    cool_off_until = models.DateTimeField(null=True)
    may_not_sell_until = models.DateTimeField(null=True)
    appeal_open = models.BooleanField(default=False)
    dispute_open = models.BooleanField(default=False)
    changed_hands_at = models.DateTimeField(null=True)
    retained_for = models.TextField(null=True)
    retained_until = models.DateTimeField(null=True)
    redirect_to = models.TextField(null=True)
    touched_at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_row_per_handle", fields=("namespace", "handle")),
            CheckConstraint(name="handle_state", condition=Q(state__in=list(core.State))),
            CheckConstraint(
                name="nobody_holds_a_free_handle",
                condition=~Q(state=core.State.FREE) | Q(account_id=None),
            ),
        )
        indexes = (
            GinIndex(name="handle_trigrams", fields=("handle",), opclasses=("gin_trgm_ops",)),
        )

    def snapshot(self) -> core.Handle:
        return core.Handle(
            namespace=self.namespace_id,
            handle=self.handle,
            state=core.State(self.state),
            account_id=self.account_id,
            locked_by=self.locked_by,
            fence=self.fence,
            minimum_offer_minor=self.minimum_offer_minor,
            cool_off_until=self.cool_off_until,
            may_not_sell_until=self.may_not_sell_until,
            appeal_open=self.appeal_open,
            dispute_open=self.dispute_open,
            retained_for=self.retained_for,
            retained_until=self.retained_until,
        )


class TstzRange(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class Tenure(models.Model):
    """One holder's period on a handle: [`held_from`, `held_to`), null = now."""

    handle = models.ForeignKey(Handle, models.PROTECT)
    account_id = models.TextField()
    held_from = models.DateTimeField()
    held_to = models.DateTimeField(null=True)
    cause = models.CharField(max_length=20)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_open_tenure", fields=("handle",), condition=Q(held_to=None)),
            CheckConstraint(
                name="tenure_forward", condition=Q(held_to=None) | Q(held_to__gt=F("held_from"))
            ),
            ExclusionConstraint(
                name="tenures_do_not_overlap",
                expressions=(
                    ("handle", RangeOperators.EQUAL),
                    (TstzRange("held_from", "held_to", RangeBoundary()), RangeOperators.OVERLAPS),
                ),
            ),
        )


class ListEntry(models.Model):
    """A handle on the operator's reserved, prohibited, protected or retired list."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    list = models.CharField(max_length=12)
    handle = models.TextField()
    reason = models.CharField(max_length=80)
    added_at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="listed_once", fields=("namespace", "list", "handle")),
            CheckConstraint(
                name="list_known",
                condition=Q(list__in=("reserved", "prohibited", "protected", "retired")),
            ),
        )


class SaleSlot(models.Model):
    """The one place per handle that an open listing, lot, drop or live sale fills."""

    handle = models.OneToOneField(Handle, models.PROTECT, primary_key=True)
    kind = models.CharField(max_length=10)
    ref = models.CharField(max_length=40)
    filled_at = models.DateTimeField()
