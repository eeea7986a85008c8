"""Members, the addresses and accounts that are theirs, and what staff may do."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.core import codes, link, people
from onym.store import secrets
from onym.store.desk import Namespace


class Member(models.Model):
    """A person or firm signed in to Onym; the house member is the operator.

    The id is the public pseudonym; the name is sealed.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    name_sealed = models.BinaryField(default=b"")
    language = models.CharField(max_length=5, default="en")
    is_house = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    security_changed_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    country = models.CharField(max_length=2, default="", db_default="")

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_house_member", fields=("namespace",), condition=Q(is_house=True)
            ),
        )

    @property
    def name(self) -> str:
        if not self.name_sealed:
            return ""
        return secrets.open_(self.name_sealed, place=f"member.name/{self.id}")

    def snapshot(self) -> people.Member:
        """The member as a core value, with links, roles and kin read now."""
        links = Link.objects.filter(member_id=self.id, unlinked_at=None)
        links = links.order_by("-is_primary", "id")
        kin = Kinship.objects.filter(Q(one_id=self.id) | Q(other_id=self.id))
        return people.Member(
            id=self.id,
            accounts=tuple(links.values_list("account_id", flat=True)),
            roles=frozenset(self.staffrole_set.values_list("role", flat=True)),
            kin=frozenset(k for pair in kin.values_list("one_id", "other_id") for k in pair),
            is_house=self.is_house,
            security_changed_at=self.security_changed_at,
            namespace=self.namespace_id,
            is_forgotten=self.erased_at is not None,
        )


class MailAddress(models.Model):
    """A verified contact; sealed, found by its keyed index."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.CASCADE)
    address_sealed = models.BinaryField()
    address_index = models.CharField(max_length=64, db_index=True)
    verified_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_member_per_address",
                fields=("namespace", "address_index"),
                condition=Q(replaced_at=None),
            ),
        )

    @property
    def address(self) -> str:
        return secrets.open_(self.address_sealed, place=self.place(self.member_id))

    @staticmethod
    def place(member: str) -> str:
        """The associated data under which a member's address is sealed."""
        return f"mailaddress.address/{member}"


class Link(models.Model):
    """A member's proven hold on an account of the platform; `passed_on`: it was sold whole."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.CASCADE)
    account_id = models.TextField()
    is_primary = models.BooleanField(default=False, db_default=False)
    linked_at = models.DateTimeField()
    unlinks_at = models.DateTimeField(null=True)
    unlinked_at = models.DateTimeField(null=True)
    passed_on = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_member_per_account",
                fields=("namespace", "account_id"),
                condition=Q(unlinked_at=None),
            ),
            UniqueConstraint(
                name="one_primary_account", fields=("member",), condition=Q(is_primary=True)
            ),
            CheckConstraint(
                name="primary_is_linked", condition=Q(is_primary=False) | Q(unlinked_at=None)
            ),
        )

    def snapshot(self) -> link.Link:
        return link.Link(self.account_id, self.is_primary, self.unlinks_at)


class LinkCode(models.Model):
    """A code that a member is to write into an account's profile; on the machine's clock."""

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.OneToOneField(Member, models.CASCADE)
    account_id = models.TextField()
    handle = models.TextField()
    code = models.CharField(max_length=40)
    ordered_at = models.DateTimeField()


class Kinship(models.Model):
    """Two members who count as one: a household, a firm, a shared device or card."""

    one = models.ForeignKey(Member, models.CASCADE, related_name="+")
    other = models.ForeignKey(Member, models.CASCADE, related_name="+")
    reason = models.CharField(max_length=40)

    class Meta:
        constraints = (
            UniqueConstraint(name="kinship_once", fields=("one", "other")),
            CheckConstraint(name="kinship_ordered", condition=Q(one_id__lt=F("other_id"))),
        )


class StaffRole(models.Model):
    """A role of the desk; what it allows stands in core/access."""

    member = models.ForeignKey(Member, models.CASCADE)
    role = models.CharField(max_length=20)
    granted_at = models.DateTimeField()

    class Meta:
        constraints = (UniqueConstraint(name="role_once", fields=("member", "role")),)


class MailCode(models.Model):
    """A code sent to an address, to sign in, to join or to change to it; on the machine's clock.

    `member` is whose address it is, or will be; None until its letter is ordered, for somebody who
    joins, or whom nothing was sent to.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.CASCADE, null=True)
    address_sealed = models.BinaryField()
    name_sealed = models.BinaryField()
    language = models.CharField(max_length=5)
    joins = models.BooleanField()
    changes = models.BooleanField(default=False, db_default=False)
    digest = models.CharField(max_length=64)
    ordered_at = models.DateTimeField()
    guesses = models.PositiveSmallIntegerField(default=0)
    spent = models.BooleanField(default=False)

    @property
    def address(self) -> str:
        return secrets.open_(self.address_sealed, place=f"mailcode.address/{self.id}")

    @property
    def name(self) -> str:
        return secrets.open_(self.name_sealed, place=f"mailcode.name/{self.id}")

    def snapshot(self) -> codes.MailCode:
        return codes.MailCode(self.digest, self.ordered_at, self.guesses, self.spent)


class Token(models.Model):
    """A bearer token: only its digest is kept. Expiry runs on the machine's clock."""

    digest = models.CharField(max_length=64, primary_key=True)
    member = models.ForeignKey(Member, models.CASCADE)
    scopes = ArrayField(models.CharField(max_length=12))
    name = models.CharField(max_length=60, default="", db_default="")
    made_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class PayoutAccount(models.Model):
    """The provider's connected account that a member's proceeds are paid to."""

    member = models.OneToOneField(Member, models.CASCADE, primary_key=True)
    provider = models.CharField(max_length=20)
    account = models.CharField(max_length=80)
    ready_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    missing = ArrayField(models.CharField(max_length=120), default=list, db_default=[])
    why_not = models.CharField(max_length=80, default="", db_default="")
