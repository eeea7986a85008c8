"""Offers on held handles and every move made in them."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import offer as core
from onym.core.money import Money
from onym.core.term import Term
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member


class Offer(models.Model):
    """A negotiation between one buyer and the account that holds the handle."""

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
