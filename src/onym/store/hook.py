"""Calls to the operator's hooks after a change of hands, each with its fate."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import hook as core
from onym.store.names import Handle


class HookCall(models.Model):
    """One hook called about one change of hands; `about` is the transfer, or what else it was.

    `series` rises when the desk asks again after a refusal: a new key for the hook.
    """

    id = models.CharField(max_length=40, primary_key=True)
    handle = models.ForeignKey(Handle, models.PROTECT)
    about = models.CharField(max_length=60, db_index=True)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=31)
    url = models.TextField()
    holder_before = models.TextField(null=True)
    holder_after = models.TextField(null=True)
    state = models.CharField(max_length=10, default="pending")
    series = models.PositiveSmallIntegerField(default=0)
    code = models.CharField(max_length=80, default="")
    ordered_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="hook_state", condition=Q(state__in=list(core.State))),
            UniqueConstraint(name="one_call_per_hook", fields=("about", "name")),
            UniqueConstraint(name="hooks_in_order", fields=("about", "position")),
        )
        indexes = (
            models.Index(name="hook_not_done", fields=("ordered_at",), condition=~Q(state="done")),
        )
