"""Sweeps that the desk asked for: what each read, how it ended, and what it found in counts."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q

from onym.core import sweep as core
from onym.store.desk import Namespace
from onym.store.people import Member


class Sweep(models.Model):
    """One order; `stock` is where its findings lie, empty for a dry run, `adopts` whether they
    are proposed as a plan at once. Counts stand here so that no page reads a billion rows.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    policy = models.CharField(max_length=63)
    version = models.IntegerField()
    as_of = models.DateTimeField()
    dry_run = models.BooleanField(default=False)
    adopts = models.BooleanField(default=False)
    state = models.CharField(max_length=10, default=core.State.RUNNING)
    ordered_by = models.ForeignKey(Member, models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    accounts = models.BigIntegerField(default=0)
    verdicts = models.JSONField(default=dict)
    reasons = models.JSONField(default=dict)
    stock = models.TextField(default="")

    class Meta:
        constraints = (
            CheckConstraint(
                name="sweep_ends_once",
                condition=Q(state="running", ended_at=None)
                | Q(state__in=("done", "failed"), ended_at__isnull=False),
            ),
            CheckConstraint(
                name="dry_run_keeps_nothing", condition=Q(dry_run=False) | Q(adopts=False, stock="")
            ),
        )
