"""Comparisons of the provider's list with our books: what was found each time."""

from __future__ import annotations

from django.db import models

from onym.store.desk import Namespace


class Reconciliation(models.Model):
    """One comparison; `differences` is empty when every payment has its entry, and back."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    provider = models.CharField(max_length=20)
    made_at = models.DateTimeField()
    matched = models.PositiveIntegerField()
    under_way = models.PositiveIntegerField()
    differences = models.JSONField(default=list)
