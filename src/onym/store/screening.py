"""People whose names are like one on a list, until a person has looked."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import screening
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.people import Member


class ScreeningCase(models.Model):
    """`open`: held until decided; `cleared`: another person; `confirmed`: held for good.

    Name and entry are sealed, and found by their keyed indexes; a name that was forgotten is empty.
    Rows are the trail of what was decided.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    entry_sealed = models.BinaryField()
    entry_index = models.CharField(max_length=64)
    name_sealed = models.BinaryField(default=b"", db_default=b"")
    name_index = models.CharField(max_length=64, default="", db_default="")
    percent = models.IntegerField()
    state = models.CharField(max_length=10, default="open")
    found_at = models.DateTimeField()
    decided_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_case_per_name_and_entry", fields=("member", "entry_index", "name_index")
            ),
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

    @property
    def name(self) -> str:
        """The name that was compared, which may have been changed since."""
        sealed = bytes(self.name_sealed)
        return secrets.open_(sealed, place=f"screening.name/{self.id}") if sealed else ""

    @staticmethod
    def index_of(name: str) -> str:
        """A name in other letters or another order is the same one."""
        return secrets.index(screening.folded(name), purpose="screening/name")
