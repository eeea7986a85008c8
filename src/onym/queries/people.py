"""Who is asking: a bearer token, a signed-in session, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, OuterRef
from django.http import HttpRequest

from onym.core import people, screening
from onym.core.errors import NotSignedIn, SecondFactorNeeded
from onym.queries import factors
from onym.queries.ground import Ground
from onym.store import clock, secrets
from onym.store.models import Document, Link, MailAddress, Member, StaffRole, Token


@dataclass(frozen=True, slots=True)
class Caller:
    """A member as a surface knows them; `scopes` of None are all, those of a session.

    `accounts` are those of the platform that the member has proven to hold; `is_named`: they have
    said what they are called.
    `factor_at`: when a passkey or TOTP last stood behind the session, on the machine's clock.
    """

    id: str
    namespace: str
    is_staff: bool
    scopes: frozenset[str] | None
    language: str
    roles: frozenset[str] = frozenset()
    accounts: tuple[str, ...] = ()
    user_id: int | None = None
    factor_at: datetime | None = None
    is_named: bool = False

    @property
    def sees_all(self) -> bool:
        """Staff's view of what is others', which a session without second factor lacks."""
        return self.is_staff and (self.scopes is not None or self.factor_at is not None)

    @property
    def sees_all_of(self) -> str:
        """The namespace where that is so; empty: nowhere."""
        return self.namespace if self.sees_all else ""


def by_token(token: str) -> Caller:
    """The member of a bearer token; expiry runs on the machine's clock. Refuses `not_signed_in`."""
    rows = Token.objects.select_related("member").annotate(**_of("member"))
    row: Any = rows.filter(digest=secrets.digest(token)).first()
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= clock.machine()):
        raise NotSignedIn("the token is unknown, revoked or has expired")
    return _caller(row.member, frozenset(row.scopes), roles=row.roles, accounts=row.accounts)


def _of(member: str) -> dict[str, ArraySubquery]:
    """A member's roles and accounts as columns, so that who asks is one statement."""
    mine = OuterRef(member)
    roles = StaffRole.objects.filter(member=mine).order_by("role")
    links = Link.objects.filter(member=mine, unlinked_at=None).order_by("-is_primary", "id")
    return {
        "roles": ArraySubquery(roles.values("role")),
        "accounts": ArraySubquery(links.values("account_id")),
    }


def asking(request: HttpRequest) -> Caller | None:
    """The member behind a page's session, read once a request; None: nobody is signed in."""
    kept = vars(request)
    if "onym_caller" not in kept:
        kept["onym_caller"] = _of_session(request) if request.user.is_authenticated else None
    found: Caller | None = kept["onym_caller"]
    return found


def _of_session(request: HttpRequest) -> Caller | None:
    row: Any = Member.objects.annotate(**_of("pk")).filter(user_id=request.user.pk or 0).first()
    if row is None:
        return None
    at = factors.given_at(request)
    return _caller(row, None, roles=row.roles, accounts=row.accounts, factor_at=at)


def signed_in(request: HttpRequest) -> Caller:
    """The same; refuses `not_signed_in`, which leads to the sign-in page."""
    found = asking(request)
    if found is None:
        raise NotSignedIn("sign in first")
    return found


def expect_factor(who: Caller) -> None:
    """Refuses `second_factor_needed` for a session that a password or mail code alone opened."""
    if who.scopes is None:
        people.expect_factor(who.factor_at)


def money(looked: Ground, member: str) -> dict[str, Any]:
    """What concerns a member's money: `name` and `country`, `ends_in` of the bank account (None
    without one), and whether taxes are in force (`taxed`), so that the country is asked.
    """
    tax = Document.objects.filter(
        namespace=looked.place, kind="tax", effective_from__lte=looked.now
    )
    rows = Member.objects.filter(pk=member).annotate(
        taxed=Exists(tax), ends_in=F("bankaccount__ends_in")
    )
    row: Any = rows.get()
    return {name: getattr(row, name) for name in ("name", "country", "ends_in", "taxed")}


def expect_fresh_factor(who: Caller) -> None:
    """The same for one that was not confirmed within 15 minutes; a token was when it was given."""
    if who.scopes is None:
        people.expect_fresh_factor(who.factor_at, now=clock.machine())


def expect_proven(request: HttpRequest, who: Caller) -> None:
    """Who changes how they sign in has just proven who they are, by the strongest proof they have.

    Refuses `second_factor_needed`, or `not_signed_in` where there is no second factor yet.
    """
    at = factors.proven_at(request, user_id=who.user_id or 0)
    if at and clock.machine() - at < people.FACTOR_IS_FRESH:
        return
    if factors.has_factor(who.user_id or 0):
        raise SecondFactorNeeded("confirm first")
    raise NotSignedIn("sign in again first")


def _caller(
    row: Any,
    scopes: frozenset[str] | None,
    *,
    roles: list[str],
    accounts: list[str],
    factor_at: datetime | None = None,
) -> Caller:
    return Caller(
        id=row.id,
        namespace=row.namespace_id,
        is_staff=row.is_house or bool(roles),
        scopes=scopes,
        language=row.language,
        roles=frozenset(roles),
        accounts=tuple(accounts),
        user_id=row.user_id,
        factor_at=factor_at,
        is_named=screening.is_name(row.name),
    )


def member(id_: str) -> people.Member:
    """The core value, for decisions about what to show."""
    return Member.objects.get(pk=id_).snapshot()


def name(member: str) -> str:
    """What the member is called, for their eyes; empty while nobody knows."""
    return Member.objects.get(pk=member).name


def me(who: Caller) -> dict[str, Any]:
    """What the member is told of themselves."""
    row = Member.objects.get(pk=who.id)
    return {
        "id": row.id,
        "name": row.name,
        "country": row.country,
        "language": row.language,
        "accounts": list(who.accounts),
    }


def addresses(member: str) -> list[str]:
    """The member's own verified mail addresses, for their eyes alone."""
    rows = MailAddress.objects.filter(member_id=member, replaced_at=None).order_by("id")
    return [row.address for row in rows]
