"""Bank statements, what came in by them, where members are paid to, and what the bank is to send.

Names and account numbers of people are sealed; amounts and references are not.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.core import bank as core
from onym.core.money import Money
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.people import Member
from onym.store.sale import Payment, Payout, Sale
from onym.store.wallet import Deposit


class BankReference(models.Model):
    """The payment reference of a sale whose buyer pays by transfer."""

    reference = models.CharField(max_length=25, primary_key=True)
    sale = models.OneToOneField(Sale, models.PROTECT)
    made_at = models.DateTimeField()


class WalletReference(models.Model):
    """The reference by which a member's transfers go into their wallet, the same for ever."""

    reference = models.CharField(max_length=25, primary_key=True)
    member = models.OneToOneField(Member, models.PROTECT)
    made_at = models.DateTimeField()


class BankStatement(models.Model):
    """One imported file; the same file, and the same statement, are taken once."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    number = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64)
    currency = models.CharField(max_length=3)
    opening_minor = models.BigIntegerField()
    closing_minor = models.BigIntegerField()
    lines = models.IntegerField()
    by = models.ForeignKey(Member, models.PROTECT, null=True)
    imported_at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_import_per_file", fields=("namespace", "sha256")),
            UniqueConstraint(name="one_import_per_statement", fields=("namespace", "number")),
        )


class BankLine(models.Model):
    """One movement of our account; `rest_minor` of what came in is still in suspense.

    `outcome` says what it was found to be when it came; `sale` is whom it waits for or funded,
    `deposit` what it was put into a wallet as.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    statement = models.ForeignKey(BankStatement, models.PROTECT)
    ref = models.CharField(max_length=80)
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    booked_on = models.DateField()
    rest_minor = models.BigIntegerField(default=0)
    outcome = models.CharField(max_length=10)
    sale = models.ForeignKey(Sale, models.PROTECT, null=True)
    deposit = models.OneToOneField(Deposit, models.PROTECT, null=True)
    waits = models.BooleanField(default=False)
    text_sealed = models.BinaryField(default=b"")
    name_sealed = models.BinaryField(default=b"")
    iban_sealed = models.BinaryField(default=b"")
    decided_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_line_per_reference", fields=("namespace", "ref")),
            CheckConstraint(
                name="line_rest_within",
                condition=Q(rest_minor=0) | Q(rest_minor__gt=0, rest_minor__lte=F("minor")),
            ),
            CheckConstraint(
                name="line_waits_for_a_sale",
                condition=Q(waits=False) | Q(sale__isnull=False, rest_minor__gt=0),
            ),
        )

    @property
    def amount(self) -> Money:
        return Money(abs(self.minor), self.currency)

    @property
    def rest(self) -> Money:
        return Money(self.rest_minor, self.currency)

    def opened(self, field: str) -> str:
        """`text`, `name` or `iban` in clear."""
        sealed = bytes(getattr(self, f"{field}_sealed"))
        return secrets.open_(sealed, place=f"bankline.{field}/{self.id}") if sealed else ""


class BankDraw(models.Model):
    """What a sale took of an arrival when it was funded: a refund goes back the same way."""

    line = models.ForeignKey(BankLine, models.PROTECT)
    sale = models.ForeignKey(Sale, models.PROTECT)
    minor = models.BigIntegerField()

    class Meta:
        constraints = (
            UniqueConstraint(name="one_draw_per_line_and_sale", fields=("line", "sale")),
            CheckConstraint(name="bank_draw_positive", condition=Q(minor__gt=0)),
        )


class BankAccount(models.Model):
    """Where a member wants proceeds to be sent by the bank; only its last letters are in clear."""

    member = models.OneToOneField(Member, models.CASCADE, primary_key=True)
    iban_sealed = models.BinaryField()
    name_sealed = models.BinaryField()
    ends_in = models.CharField(max_length=4)
    set_at = models.DateTimeField()

    def opened(self, field: str) -> str:
        """`name` or `iban` in clear."""
        sealed = bytes(getattr(self, f"{field}_sealed"))
        return secrets.open_(sealed, place=f"bankaccount.{field}/{self.member_id}")


class BankFile(models.Model):
    """A payment file as it was handed out; it is never made anew."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    orders = models.IntegerField()
    total_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    text_sealed = models.BinaryField()
    by = models.ForeignKey(Member, models.PROTECT)
    made_at = models.DateTimeField()

    @property
    def text(self) -> str:
        return secrets.open_(bytes(self.text_sealed), place=f"bankfile.text/{self.id}")


class BankOrder(models.Model):
    """Money that the bank is to send: a payout, a refund (one order for each arrival that its sale
    had drawn from), or what came in and goes back.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    kind = models.CharField(max_length=8)
    state = models.CharField(max_length=8)
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    iban_sealed = models.BinaryField(default=b"")
    name_sealed = models.BinaryField(default=b"")
    text = models.CharField(max_length=140)
    payout = models.ForeignKey(Payout, models.PROTECT, null=True)
    payment = models.ForeignKey(Payment, models.PROTECT, null=True)
    line = models.ForeignKey(BankLine, models.PROTECT, null=True)
    file = models.ForeignKey(BankFile, models.PROTECT, null=True)
    completed_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    provider_id = models.CharField(max_length=80, null=True)
    made_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            CheckConstraint(
                name="bank_order_kind",
                condition=Q(kind="payout", payout__isnull=False)
                | Q(kind="refund", payment__isnull=False)
                | Q(kind="return", line__isnull=False),
            ),
            CheckConstraint(name="bank_order_state", condition=Q(state__in=list(core.OrderState))),
            UniqueConstraint(
                name="one_bank_order_per_payout",
                fields=("payout",),
                condition=Q(payout__isnull=False) & ~Q(state="returned"),
            ),
            UniqueConstraint(
                name="one_refund_per_line",
                fields=("payment", "line"),
                condition=Q(payment__isnull=False),
            ),
            CheckConstraint(name="bank_order_positive", condition=Q(minor__gt=0)),
            CheckConstraint(
                name="bank_order_done_has_reference",
                condition=~Q(state="done") | Q(provider_id__isnull=False),
            ),
        )

    @property
    def end_to_end(self) -> str:
        """How the bank's files name it, in 35 characters at most."""
        return self.id.replace("_", "")

    @property
    def amount(self) -> Money:
        return Money(self.minor, self.currency)

    def opened(self, field: str) -> str:
        """`name` or `iban` in clear; empty while nobody knows."""
        sealed = bytes(getattr(self, f"{field}_sealed"))
        return secrets.open_(sealed, place=f"bankorder.{field}/{self.id}") if sealed else ""


class Bounce(models.Model):
    """A payout that had left and came back: `provider_id` and `booked_as` are of its leaving."""

    id = models.CharField(max_length=40, primary_key=True)
    payout = models.ForeignKey(Payout, models.PROTECT)
    line = models.OneToOneField(BankLine, models.PROTECT)
    provider_id = models.CharField(max_length=80)
    booked_as = models.CharField(max_length=60)
    minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            CheckConstraint(name="bounce_positive", condition=Q(minor__gt=0)),
            UniqueConstraint(name="bounce_once", fields=("payout", "booked_as")),
        )
