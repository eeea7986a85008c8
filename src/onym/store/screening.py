"""People whose names are like one on a list, until a person has looked."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.people import Member


class ScreeningCase(models.Model):
    """`open`: held until decided; `cleared`: another person; `confirmed`: held for good.

    The list's entry is sealed and found by its keyed index. Rows are the trail of what was decided.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    entry_sealed = models.BinaryField()
    entry_index = models.CharField(max_length=64)
    percent = models.IntegerField()
    state = models.CharField(max_length=10, default="open")
    found_at = models.DateTimeField()
    decided_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_case_per_entry", fields=("member", "entry_index")),
            CheckConstraint(
                name="screening_state", condition=Q(state__in=("open", "cleared", "confirmed"))
            ),
            CheckConstraint(
                name="screening_decided_by_somebody",
                condition=Q(state="open") | Q(decided_by__isnull=False),
            ),
        )

    @property
    def entry(self) -> str:
        return secrets.open_(bytes(self.entry_sealed), place=f"screening.entry/{self.id}")
