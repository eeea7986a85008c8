"""What members want to be told of: a handle, or every listing that a saved search would find."""

from __future__ import annotations

import hmac
from datetime import timedelta

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core.errors import NotFound
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member

TYPES = ("ListingOpened", "SaleSettled", "Released")
"""Entries of the log that watches wait for."""

BETWEEN = timedelta(days=1)
"""From one letter about watches to a member's next."""

WHATS = ("listed", "price_changed", "sold", "released", "freed")


class Watch(models.Model):
    """A member's standing wish: `handle`, or else a search by `prefix`, `tier`, `max_price_minor`.

    Without `mail` its hits are kept and shown, but not sent.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.CASCADE)
    handle = models.ForeignKey(Handle, models.PROTECT, null=True)
    prefix = models.TextField(default="")
    tier = models.CharField(max_length=10, default="")
    max_price_minor = models.BigIntegerField(null=True)
    mail = models.BooleanField(default=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_watch",
                fields=("member", "handle", "prefix", "tier", "max_price_minor"),
                nulls_distinct=False,
            ),
            CheckConstraint(
                name="watch_of_a_handle_or_a_search",
                condition=Q(handle=None)
                & (~Q(prefix="") | ~Q(tier="") | Q(max_price_minor__isnull=False))
                | Q(handle__isnull=False, prefix="", tier="", max_price_minor=None),
            ),
            CheckConstraint(
                name="watch_price", condition=Q(max_price_minor=None) | Q(max_price_minor__gt=0)
            ),
        )


class WatchHit(models.Model):
    """Something that a watch waited for; `about` names it, so that it is one hit for ever."""

    watch = models.ForeignKey(Watch, models.CASCADE)
    handle = models.ForeignKey(Handle, models.PROTECT)
    what = models.CharField(max_length=14)
    about = models.CharField(max_length=60)
    price_minor = models.BigIntegerField(null=True)
    at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_hit", fields=("watch", "what", "about")),
            CheckConstraint(name="hit_what", condition=Q(what__in=WHATS)),
        )
        indexes = (models.Index(name="hit_untold", fields=("at",), condition=Q(told_at=None)),)


class WatchCursor(models.Model):
    """How far the namespace's leaves have been read for what watches wait for."""

    namespace = models.OneToOneField(Namespace, models.PROTECT, primary_key=True)
    leaf = models.BigIntegerField()


def token(member: str) -> str:
    """What the link that ends a member's letters about watches carries, signed."""
    return f"{member}.{secrets.index(member, purpose='watch')}"


def read_token(text: str) -> str:
    """The member that a link speaks for. Refuses `not_found` for whatever we did not sign."""
    member, _, signature = text.partition(".")
    if not hmac.compare_digest(signature.encode(), token(member).partition(".")[2].encode()):
        raise NotFound("this link is not one of ours")
    return member
