"""Hand-overs of a handle on the platform: what was asked, what was answered, what was read back."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from onym.core import transfer as core
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member
from onym.store.sale import Sale


class Transfer(models.Model):
    """One ordered write to the platform; the fence makes a late one harmless.

    `hands_to` is who gets the whole account that holds the handle, at an address that is kept as
    long as it is needed; null where the handle alone moves.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    sale = models.ForeignKey(Sale, models.PROTECT, null=True)
    source = models.TextField(null=True)
    to = models.TextField()
    placeholder = models.TextField()
    vacated = models.TextField(null=True)  # the handle that `to` gives up by receiving this one
    retains = models.BooleanField(db_default=True)  # whether the platform is to keep that one
    expected_holder = models.TextField(null=True)
    fence = models.BigIntegerField()
    state = models.CharField(max_length=10, default="pending")
    reason = models.CharField(max_length=80, default="")
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    read_back_account_id = models.TextField(null=True)
    read_back_at = models.DateTimeField(null=True)
    bar_fence = models.BigIntegerField(null=True)
    bar_holder = models.TextField(null=True)
    bar_done = models.BooleanField(null=True)
    hands_to = models.ForeignKey(Member, models.PROTECT, null=True)
    address_sealed = models.BinaryField(default=b"", db_default=b"")

    class Meta:
        constraints = (
            CheckConstraint(name="transfer_state", condition=Q(state__in=list(core.State))),
            UniqueConstraint(name="one_transfer_per_fence", fields=("handle", "fence")),
        )

    @property
    def address(self) -> str:
        return secrets.open_(self.address_sealed, place=self.place(self.id))

    @staticmethod
    def place(id_: str) -> str:
        """The associated data under which an order's address is sealed."""
        return f"transfer.address/{id_}"

    def bar(self) -> core.Bar | None:
        """The last bar that was ordered before a refund."""
        if self.bar_fence is None:
            return None
        return core.Bar(fence=self.bar_fence, holder=self.bar_holder, done=self.bar_done)
