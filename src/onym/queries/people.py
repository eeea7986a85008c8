"""Who is asking: a bearer token, a signed-in session, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.http import HttpRequest

from onym.core import people
from onym.core.errors import NotSignedIn
from onym.store import secrets
from onym.store.models import Link, Member, StaffRole, Token


@dataclass(frozen=True, slots=True)
class Caller:
    """A member as a surface knows them; `scopes` of None are all, those of a session.

    `accounts` are those of the platform that the member has proven to hold.
    """

    id: str
    namespace: str
    is_staff: bool
    scopes: frozenset[str] | None
    language: str
    roles: frozenset[str] = frozenset()
    accounts: tuple[str, ...] = ()


def by_token(token: str) -> Caller:
    """The member of a bearer token; expiry runs on the machine's clock. Refuses `not_signed_in`."""
    rows = Token.objects.select_related("member").annotate(**_of("member"))
    row: Any = rows.filter(digest=secrets.digest(token)).first()
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= _machine_now()):
        raise NotSignedIn("the token is unknown, revoked or has expired")
    return _caller(row.member, frozenset(row.scopes), roles=row.roles, accounts=row.accounts)


def by_user(user_id: int) -> Caller | None:
    """The member behind a session's user."""
    row: Any = Member.objects.annotate(**_of("pk")).filter(user_id=user_id).first()
    return _caller(row, None, roles=row.roles, accounts=row.accounts) if row else None


def _of(member: str) -> dict[str, ArraySubquery]:
    """A member's roles and accounts as columns, so that who asks is one statement."""
    mine = OuterRef(member)
    roles = StaffRole.objects.filter(member=mine).order_by("role")
    links = Link.objects.filter(member=mine, unlinked_at=None).order_by("id")
    return {
        "roles": ArraySubquery(roles.values("role")),
        "accounts": ArraySubquery(links.values("account_id")),
    }


def asking(request: HttpRequest) -> Caller | None:
    """The member behind a page's session, read once a request; None: nobody is signed in."""
    kept = vars(request)
    if "onym_caller" not in kept:
        user = request.user
        kept["onym_caller"] = by_user(user.pk) if user.is_authenticated else None
    found: Caller | None = kept["onym_caller"]
    return found


def signed_in(request: HttpRequest) -> Caller:
    """The same; refuses `not_signed_in`, which leads to the sign-in page."""
    found = asking(request)
    if found is None:
        raise NotSignedIn("sign in first")
    return found


def _caller(
    row: Member, scopes: frozenset[str] | None, *, roles: list[str], accounts: list[str]
) -> Caller:
    return Caller(
        id=row.id,
        namespace=row.namespace_id,
        is_staff=row.is_house or bool(roles),
        scopes=scopes,
        language=row.language,
        roles=frozenset(roles),
        accounts=tuple(accounts),
    )


def member(id_: str) -> people.Member:
    """The core value, for decisions about what to show."""
    return Member.objects.get(pk=id_).snapshot()


def _machine_now() -> datetime:
    return datetime.now(UTC)
