"""When an area of the market was stopped, by whom, and which are now."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.core.area import Area
from onym.store.desk import Namespace
from onym.store.people import Member
from onym.store.record import Approval


class AreaStop(models.Model):
    """The area was stopped in [`since`, `until`); null: it still is."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    area = models.CharField(max_length=12)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    set_by = models.ForeignKey(Member, models.PROTECT, related_name="+")
    approval = models.ForeignKey(Approval, models.PROTECT, null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_area_stop_at_a_time",
                fields=("namespace", "area"),
                condition=Q(until=None),
            ),
            CheckConstraint(
                name="area_stop_forward", condition=Q(until=None) | Q(until__gte=F("since"))
            ),
            CheckConstraint(name="area_known", condition=Q(area__in=tuple(Area))),
        )


def stopped(namespace: str) -> frozenset[str]:
    """The areas that are stopped now."""
    rows = AreaStop.objects.filter(namespace_id=namespace, until=None)
    return frozenset(rows.values_list("area", flat=True))
