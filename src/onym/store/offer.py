"""Offers on held handles and every move made in them."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from onym.core import answer
from onym.core import offer as core
from onym.core.money import Money
from onym.core.term import Term
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member


class Offer(models.Model):
    """A negotiation between one buyer and the account that holds the handle.

    The holder is asked with two links: `token_digest` is of the one in the platform's own notice,
    `mail_digest` of the one by mail, which shows that a letter was read; None: nobody was written.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    holder_account_id = models.TextField()
    buyer = models.ForeignKey(Member, models.PROTECT, related_name="offers_made")
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, default="open")
    term = models.CharField(max_length=7, default="handle", db_default="handle")
    consented_at = models.DateTimeField(null=True)
    turn = models.CharField(max_length=6, default="seller")
    token_digest = models.CharField(max_length=64, unique=True)
    mail_digest = models.CharField(max_length=64, null=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_open_offer_per_buyer",
                fields=("handle", "buyer"),
                condition=Q(state="open"),
            ),
            CheckConstraint(name="offer_state", condition=Q(state__in=list(core.State))),
            CheckConstraint(name="offer_turn", condition=Q(turn__in=list(core.Turn))),
            CheckConstraint(
                name="offer_term",
                condition=Q(term=Term.HANDLE, consented_at=None)
                | Q(term=Term.ACCOUNT, consented_at__isnull=False),
            ),
            CheckConstraint(name="offer_price", condition=Q(price_minor__gt=0)),
        )
        indexes = (Index(name="offer_by_letter", fields=("mail_digest",)),)

    def snapshot(self) -> core.Offer:
        return core.Offer(
            id=self.id,
            buyer=self.buyer_id,
            holder_account_id=self.holder_account_id,
            price=Money(self.price_minor, self.currency),
            state=core.State(self.state),
            turn=core.Turn(self.turn),
            term=Term(self.term),
            expires_at=self.expires_at,
        )


class OfferMove(models.Model):
    """One step of a negotiation: who moved, how, at what price."""

    offer = models.ForeignKey(Offer, models.CASCADE)
    by = models.CharField(max_length=6)
    move = models.CharField(max_length=10)
    price_minor = models.BigIntegerField()
    at = models.DateTimeField()


class OfferAnswer(models.Model):
    """An answer by the letter's link that waits for a proof of the account; `price_minor` is what
    it agrees to or names, `step` how many moves had been made. On the machine's clock. Who answers
    is asked for a name where the list is asked.
    """

    id = models.CharField(max_length=40, primary_key=True)
    offer = models.ForeignKey(Offer, models.CASCADE)
    kind = models.CharField(max_length=7)
    price_minor = models.BigIntegerField()
    step = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    name_sealed = models.BinaryField(default=b"", db_default=b"")
    ordered_at = models.DateTimeField()

    class Meta:
        constraints = (
            CheckConstraint(name="answer_kind", condition=Q(kind__in=list(answer.Kind))),
            CheckConstraint(name="answer_price", condition=Q(price_minor__gt=0)),
        )

    @property
    def name(self) -> str:
        sealed = bytes(self.name_sealed)
        return secrets.open_(sealed, place=f"offeranswer.name/{self.id}") if sealed else ""

    def snapshot(self) -> answer.Answer:
        return answer.Answer(
            kind=answer.Kind(self.kind),
            price=Money(self.price_minor, self.offer.currency),
            step=self.step,
            code=self.code,
            ordered_at=self.ordered_at,
        )
