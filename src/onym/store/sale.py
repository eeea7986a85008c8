"""Sales, the payments that fund or refund them, and the payouts of sellers."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint

from onym.core import sale as core
from onym.core.checkout import METHOD as CHECKOUT
from onym.core.money import Money
from onym.core.term import Term
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member


class Sale(models.Model):
    """An agreed (buyer, seller, handle, price), whatever the mechanism."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    kind = models.CharField(max_length=8)
    mechanism = models.CharField(max_length=12)
    by = models.CharField(max_length=40)
    buyer = models.ForeignKey(Member, models.PROTECT, related_name="bought")
    seller = models.ForeignKey(Member, models.PROTECT, related_name="sold")
    buyer_account_id = models.TextField()
    seller_account_id = models.TextField(null=True)
    currency = models.CharField(max_length=3)
    price_minor = models.BigIntegerField()
    gross_minor = models.BigIntegerField()
    commission_minor = models.BigIntegerField(default=0)
    fee_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    share_minor = models.BigIntegerField(default=0)
    proceeds_minor = models.BigIntegerField()
    versions = models.JSONField(default=dict)
    tax_facts = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    state = models.CharField(max_length=16)
    term = models.CharField(max_length=7, default="handle", db_default="handle")
    consented_at = models.DateTimeField(null=True)
    private = models.BooleanField(default=False)
    frozen = models.BooleanField(default=False, db_default=False)
    agreed_at = models.DateTimeField()
    funding_until = models.DateTimeField()
    funded_at = models.DateTimeField(null=True)
    cooling_until = models.DateTimeField(null=True)
    delivery_until = models.DateTimeField(null=True)
    inspection_until = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    read_back_account_id = models.TextField(null=True)
    read_back_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=40, default="")

    class Meta:
        constraints = (
            CheckConstraint(name="sale_state", condition=Q(state__in=list(core.State))),
            CheckConstraint(name="sale_kind", condition=Q(kind__in=list(core.Kind))),
            CheckConstraint(
                name="gross_adds_up",
                condition=Q(
                    gross_minor=F("proceeds_minor")
                    + F("commission_minor")
                    + F("fee_minor")
                    + F("tax_minor")
                    + F("share_minor")
                ),
            ),
            CheckConstraint(
                name="settled_was_read_back",
                condition=~Q(state=core.State.SETTLED)
                | Q(read_back_account_id=F("buyer_account_id")),
            ),
            CheckConstraint(
                name="not_with_oneself", condition=~Q(buyer=F("seller")) | Q(kind=core.Kind.HOUSE)
            ),
            CheckConstraint(
                name="sale_term",
                condition=Q(term=Term.HANDLE, consented_at=None)
                | Q(term=Term.ACCOUNT, consented_at__isnull=False),
            ),
            UniqueConstraint(
                name="one_live_sale_per_handle",
                fields=("handle",),
                condition=Q(state__in=sorted(core.LIVE)),
            ),
        )
        indexes = (
            Index(
                F("namespace"),
                F("closed_at").desc(),
                F("id").desc(),
                name="latest_settled",
                condition=Q(state=core.State.SETTLED, closed_at__isnull=False),
            ),
        )

    def money(self, name: str) -> Money:
        """One of the sale's amounts: `price`, `gross`, `commission`, …"""
        return Money(getattr(self, f"{name}_minor"), self.currency)

    def snapshot(self) -> core.Sale:
        return core.Sale(
            id=self.id,
            kind=core.Kind(self.kind),
            state=core.State(self.state),
            buyer=self.buyer_id,
            seller=self.seller_id,
            buyer_account_id=self.buyer_account_id,
            seller_account_id=self.seller_account_id,
            price=self.money("price"),
            funding_until=self.funding_until,
            cooling_until=self.cooling_until,
            delivery_until=self.delivery_until,
            inspection_until=self.inspection_until,
            read_back_account_id=self.read_back_account_id,
            frozen=self.frozen,
            term=Term(self.term),
        )


class Payment(models.Model):
    """One attempt to take a sale's money or to give it back; `key` names it at the provider."""

    id = models.CharField(max_length=40, primary_key=True)
    sale = models.ForeignKey(Sale, models.PROTECT)
    kind = models.CharField(max_length=8)
    state = models.CharField(max_length=10, default="pending")
    method = models.CharField(max_length=60, default="")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    provider_id = models.CharField(max_length=80, null=True)
    reason = models.CharField(max_length=80, default="")
    action_url = models.TextField(default="", db_default="")
    checkout_id = models.CharField(max_length=120, default="", db_default="")
    checkout_until = models.DateTimeField(null=True)
    made_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="payment_kind", condition=Q(kind__in=("charge", "refund"))),
            CheckConstraint(name="payment_state", condition=Q(state__in=list(core.PaymentState))),
            CheckConstraint(
                name="checkout_has_an_end",
                condition=~Q(method=CHECKOUT) | Q(checkout_until__isnull=False),
            ),
            UniqueConstraint(
                name="one_open_charge_per_sale",
                fields=("sale",),
                condition=Q(kind="charge", state__in=("pending", "unknown", "action", "paid")),
            ),
            UniqueConstraint(
                name="one_refund_per_sale",
                fields=("sale",),
                condition=Q(kind="refund") & ~Q(state="refused"),
            ),
        )


class Payout(models.Model):
    """The seller's proceeds on their way out, not before `due_at`; without a sale, money that a
    member takes out of the wallet.

    Of `amount_minor`, `recovered_minor` have met a claim of the house: the rest leaves.
    `attempt` counts refusals whose cause is gone: each has a key of its own at the provider.
    `account` is whose the provider was asked to pay under that key, whatever the member has since.
    """

    id = models.CharField(max_length=40, primary_key=True)
    sale = models.OneToOneField(Sale, models.PROTECT, null=True)
    member = models.ForeignKey(Member, models.PROTECT)
    amount_minor = models.BigIntegerField()
    recovered_minor = models.BigIntegerField(default=0, db_default=0)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, default="due")
    provider_id = models.CharField(max_length=80, null=True)
    reason = models.CharField(max_length=80, default="")
    attempt = models.PositiveSmallIntegerField(default=0, db_default=0)
    bounces = models.PositiveSmallIntegerField(default=0, db_default=0)
    account = models.CharField(max_length=80, default="", db_default="")
    due_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(name="payout_state", condition=Q(state__in=list(core.PayoutState))),
            CheckConstraint(name="payout_positive", condition=Q(amount_minor__gt=0)),
            CheckConstraint(
                name="payout_recovered_within",
                condition=Q(recovered_minor__gte=0, recovered_minor__lte=F("amount_minor")),
            ),
        )

    @property
    def amount(self) -> Money:
        """What leaves."""
        return Money(self.amount_minor - self.recovered_minor, self.currency)

    @property
    def about(self) -> str:
        """What it is for, as the provider and letters name it: the sale, else itself."""
        return self.sale_id or self.id

    @property
    def place(self) -> str:
        """The namespace; by the sale where there is one, which batches have locked."""
        return self.sale.namespace_id if self.sale else self.member.namespace_id

    @property
    def booked_as(self) -> str:
        """What its leaving is booked under: anew each time that it came back."""
        return f"{self.id}:{self.bounces}" if self.bounces else self.id

    @property
    def key(self) -> str:
        """What the provider knows this payment by, for ever."""
        return f"{self.id}:{self.attempt}" if self.attempt else self.id
