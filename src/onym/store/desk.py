"""Namespaces and the dated documents they are run by (policy, fees, guidelines)."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint


class Namespace(models.Model):
    """One platform, one set of unique handles, one currency; `phase` and the stop are switches."""

    id = models.CharField(max_length=40, primary_key=True)
    title = models.CharField(max_length=120)
    profile = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    phase = models.CharField(max_length=10, default="closed")
    release_stop = models.BooleanField(default=True)
    minimum_offer_minor = models.BigIntegerField(default=0)
    custodian_account_id = models.TextField(default="custodian")
    whole_accounts = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            CheckConstraint(
                name="namespace_phase", condition=Q(phase__in=("closed", "invited", "open"))
            ),
        )


class Document(models.Model):
    """One version of a policy, fees, guidelines or tax rates, in force from an instant on."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=12)
    name = models.CharField(max_length=40)
    version = models.IntegerField()
    effective_from = models.DateTimeField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="document_version", fields=("namespace", "kind", "name", "version")
            ),
            CheckConstraint(
                name="document_kind",
                condition=Q(kind__in=("policy", "fees", "guidelines", "tax", "limits")),
            ),
        )


def document(*, namespace: str, kind: str, at: object, name: str | None = None) -> Document | None:
    """The version in force at `at`: of `name` if given, else the latest to take effect."""
    rows = Document.objects.filter(namespace_id=namespace, kind=kind, effective_from__lte=at)
    if name is not None:
        rows = rows.filter(name=name)
    return rows.order_by("-effective_from", "-id").first()
