"""Wallets: what a member wants of it, deposits on their way in, and holds.

The money itself lies in the books, as `available` and `held`. See docs/concepts/wallet.md.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint

from onym.core import sale
from onym.core import wallet as core
from onym.core.money import Money
from onym.store.desk import Namespace
from onym.store.people import Member

DEPOSIT_STATES = ("pending", "unknown", "action", "paid", "declined", "cancelled")
HOLD_KINDS = ("sale", "payout", "lot")


class Wallet(models.Model):
    """Whether a member's proceeds go to the wallet; without a row they are paid out."""

    member = models.OneToOneField(Member, models.PROTECT, primary_key=True)
    takes_proceeds = models.BooleanField(default=False)
    set_at = models.DateTimeField()


class Deposit(models.Model):
    """One attempt to bring money in; its id names it at the provider for ever.

    What nobody confirmed at the bank before `gives_up_at` is given up; the provider's own page,
    `checkout_id`, closes then. What was agreed to there is taken from `agreed_at` on, if it fits.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    state = models.CharField(max_length=10, default=sale.PaymentState.PENDING)
    method = models.CharField(max_length=60)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    provider_id = models.CharField(max_length=80, null=True)
    reason = models.CharField(max_length=80, default="")
    action_url = models.TextField(default="")
    checkout_id = models.CharField(max_length=120, default="", db_default="")
    made_at = models.DateTimeField()
    agreed_at = models.DateTimeField(null=True)
    gives_up_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="deposit_state", condition=Q(state__in=DEPOSIT_STATES)),
            CheckConstraint(name="deposit_positive", condition=Q(amount_minor__gt=0)),
            UniqueConstraint(
                name="deposit_once_per_payment",
                fields=("provider_id",),
                condition=Q(provider_id__isnull=False),
            ),
        )
        indexes = (Index(name="deposit_of_member", fields=("member", "-id")),)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Hold(models.Model):
    """Money of a wallet set aside for `subject`; a trigger lets it end once (migration 0030)."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    kind = models.CharField(max_length=8)
    subject = models.CharField(max_length=40)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=8, default=core.HoldState.HELD)
    posted_minor = models.BigIntegerField(default=0)
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="hold_kind", condition=Q(kind__in=HOLD_KINDS)),
            CheckConstraint(name="hold_state", condition=Q(state__in=list(core.HoldState))),
            CheckConstraint(name="hold_positive", condition=Q(amount_minor__gt=0)),
            CheckConstraint(
                name="hold_posted_within",
                condition=Q(state="posted", posted_minor__gt=0, posted_minor__lte=F("amount_minor"))
                | Q(~Q(state="posted"), posted_minor=0),
            ),
            CheckConstraint(
                name="hold_ended_has_instant",
                condition=Q(state="held", ended_at=None)
                | Q(~Q(state="held"), ended_at__isnull=False),
            ),
            UniqueConstraint(
                name="one_live_hold_per_subject",
                fields=("member", "subject"),
                condition=Q(state="held"),
            ),
        )

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    def snapshot(self) -> core.Hold:
        return core.Hold(
            id=self.id,
            member=self.member_id,
            subject=self.subject,
            amount=self.amount,
            state=core.HoldState(self.state),
            posted_minor=self.posted_minor,
        )
