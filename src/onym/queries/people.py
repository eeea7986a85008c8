"""Who is asking: a bearer token, a signed-in session, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest

from onym.core import people
from onym.core.errors import NotSignedIn
from onym.store import secrets
from onym.store.models import Member, Token


@dataclass(frozen=True, slots=True)
class Caller:
    """A member as a surface knows them; `scopes` of None are all, those of a session."""

    id: str
    namespace: str
    is_staff: bool
    scopes: frozenset[str] | None
    language: str
    roles: frozenset[str] = frozenset()


def by_token(token: str) -> Caller:
    """The member of a bearer token; expiry runs on the machine's clock. Refuses `not_signed_in`."""
    row = Token.objects.select_related("member").filter(digest=secrets.digest(token)).first()
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= _machine_now()):
        raise NotSignedIn("the token is unknown, revoked or has expired")
    return _caller(row.member, frozenset(row.scopes))


def by_user(user_id: int) -> Caller | None:
    """The member behind a session's user."""
    row = Member.objects.filter(user_id=user_id).first()
    return _caller(row, None) if row else None


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


def _caller(row: Member, scopes: frozenset[str] | None) -> Caller:
    roles = frozenset(row.staffrole_set.values_list("role", flat=True))
    return Caller(
        id=row.id,
        namespace=row.namespace_id,
        is_staff=row.is_house or bool(roles),
        scopes=scopes,
        language=row.language,
        roles=roles,
    )


def member(id_: str) -> people.Member:
    """The core value, for decisions about what to show."""
    return Member.objects.get(pk=id_).snapshot()


def _machine_now() -> datetime:
    return datetime.now(UTC)
