"""Campaigns, the invitations they consist of, and addresses that want no mail."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import invitation as core
from onym.core.money import Money
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member


class Campaign(models.Model):
    """A batch of private offers of one handle to committed candidates."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    criteria = models.TextField()
    state = models.CharField(max_length=10, default="draft")
    root = models.CharField(max_length=64)
    expires_in_days = models.IntegerField()
    proposed_by = models.ForeignKey(Member, models.PROTECT, related_name="+")
    committed_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="campaign_state", condition=Q(state__in=list(core.CampaignState))),
        )


class Invitation(models.Model):
    """One private offer to one recipient; who that is and the link are sealed.

    `leaf` takes the place of recipient and salt once they are forgotten: the others' proofs need
    it.
    """

    id = models.CharField(max_length=40, primary_key=True)
    campaign = models.ForeignKey(Campaign, models.PROTECT)
    position = models.IntegerField()
    recipient_sealed = models.BinaryField()
    recipient_index = models.CharField(max_length=64)
    salt = models.BinaryField()
    leaf = models.BinaryField(null=True)
    token_sealed = models.BinaryField()
    token_digest = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=10, default="committed")
    sent_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="invitation_position", fields=("campaign", "position")),
            UniqueConstraint(
                name="one_acceptance_per_campaign",
                fields=("campaign",),
                condition=Q(state="accepted"),
            ),
            CheckConstraint(name="invitation_state", condition=Q(state__in=list(core.State))),
        )

    @property
    def token(self) -> str:
        return secrets.open_(self.token_sealed, place=f"invitation.token/{self.id}")

    @property
    def candidate(self) -> bytes:
        """What stands for the recipient under the campaign's root."""
        if self.leaf is not None:
            return bytes(self.leaf)
        return core.candidate(bytes(self.salt), self.recipient_index)

    def snapshot(self) -> core.Invitation:
        return core.Invitation(
            id=self.id,
            recipient_index=self.recipient_index,
            price=Money(self.campaign.price_minor, self.campaign.currency),
            state=core.State(self.state),
            expires_at=self.expires_at,
        )


class Suppression(models.Model):
    """An address that must not be written to; checked inside the sending step."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    address_index = models.CharField(max_length=64)
    reason = models.CharField(max_length=20)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="suppressed_once", fields=("namespace", "address_index")),
        )
