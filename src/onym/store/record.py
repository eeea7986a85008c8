"""What is written beside each decision: log events, answered requests, approvals, notices."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint
from django.db.models.functions import Now

from onym.store.desk import Namespace
from onym.store.people import Member


class Event(models.Model):
    """A fact that enters the log; `entry` is the leaf's bytes, `leaf_index` its place once there.

    `openings` (salts and values of commitments) is sealed and may be destroyed on its own.
    `at` is market time; `written_at` is the machine's, which the log's promise is measured by.
    """

    seq = models.BigAutoField(primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    type = models.CharField(max_length=40)
    ref = models.CharField(max_length=60, db_index=True)
    at = models.DateTimeField()
    written_at = models.DateTimeField(db_default=Now())
    entry = models.BinaryField()
    openings = models.BinaryField(null=True)
    leaf_index = models.BigIntegerField(null=True, unique=True)

    class Meta:
        indexes = (
            models.Index(name="event_waiting", fields=("seq",), condition=Q(leaf_index=None)),
            models.Index(
                name="event_read_back",
                fields=("namespace", "leaf_index"),
                condition=Q(type="TransferReadBack"),
            ),
        )


class IdempotentRequest(models.Model):
    """A write that a client named: its payload's digest and, once there, its first answer."""

    member = models.ForeignKey(Member, models.PROTECT)
    route = models.CharField(max_length=160)
    key = models.CharField(max_length=200)
    payload_sha256 = models.CharField(max_length=64)
    status = models.IntegerField(null=True)
    body = models.JSONField(null=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints = (UniqueConstraint(name="one_request", fields=("member", "route", "key")),)


class Approval(models.Model):
    """An act that needs a second person, bound to the digest of exactly what was shown.

    `facts` are what was true when it was proposed; its proposer may withdraw it until then.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    action = models.CharField(max_length=30)
    payload = models.JSONField()
    facts = models.JSONField(default=dict)
    shown = models.CharField(max_length=64)
    proposed_by = models.ForeignKey(Member, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    approved_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, default="open")

    class Meta:
        constraints = (
            CheckConstraint(
                name="approval_state",
                condition=Q(state__in=("open", "approved", "void", "withdrawn")),
            ),
            CheckConstraint(
                name="two_people",
                condition=Q(approved_by=None) | ~Q(approved_by=F("proposed_by")),
            ),
            CheckConstraint(
                name="approved_by_somebody",
                condition=~Q(state="approved") | Q(approved_by__isnull=False),
            ),
        )


class Notice(models.Model):
    """One message to one person, with its fate; the text is made when it is sent."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=30)
    about = models.CharField(max_length=60)
    facts = models.JSONField(default=dict)
    channel = models.CharField(max_length=10)
    account_id = models.TextField(null=True)
    address_sealed = models.BinaryField(null=True)
    address_index = models.CharField(max_length=64, default="")
    language = models.CharField(max_length=5, default="en")
    state = models.CharField(max_length=12, default="pending")
    made_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_notice",
                fields=("namespace", "kind", "about", "channel", "account_id", "address_index"),
                nulls_distinct=False,
            ),
            CheckConstraint(
                name="notice_state",
                condition=Q(state__in=("pending", "sent", "bounced", "suppressed", "unknown")),
            ),
        )


class DemoClock(models.Model):
    """How far the demo's market time runs ahead; one row at most, refused in production."""

    id = models.IntegerField(primary_key=True, default=1)
    offset_seconds = models.BigIntegerField(default=0)

    class Meta:
        constraints = (CheckConstraint(name="one_clock", condition=Q(id=1)),)
