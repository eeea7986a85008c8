"""The desk's shortlist: handles that somebody wants to sell next, with a note."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.store.desk import Namespace
from onym.store.people import Member


class ShortlistEntry(models.Model):
    """A mark on a handle, touched or not; taken off it stays as a record of who did what."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.TextField()
    note = models.TextField(default="")
    added_by = models.ForeignKey(Member, models.PROTECT, related_name="+")
    added_at = models.DateTimeField()
    removed_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="shortlisted_once",
                fields=("namespace", "handle"),
                condition=Q(removed_at=None),
            ),
            CheckConstraint(
                name="taken_off_by_somebody",
                condition=Q(removed_at=None, removed_by=None)
                | Q(removed_at__gte=F("added_at"), removed_by__isnull=False),
            ),
        )
