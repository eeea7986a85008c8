"""Second factors: passkeys, TOTP and recovery codes, over allauth's tables and its WebAuthn.

Secrets are sealed with their owner's id, a TOTP counter counts once, and every change is told by
mail and stops sales for thirty days; docs/concepts/sign-in.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes, post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm
from allauth.mfa.webauthn.internal import auth as webauthn
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext

from onym.core.errors import Malformed, NotFound
from onym.flows import limits, record
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import MailAddress, Member

Type = Authenticator.Type
LONGEST_NAME = 60
_owner: ContextVar[int] = ContextVar("whose secret is sealed or opened")


class Factors(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """What allauth asks us: how secrets are kept, and how a passkey names its owner."""

    def encrypt(self, text: str) -> str:
        return secrets.seal(text, place=f"authenticator.secret/{_owner.get()}").hex()

    def decrypt(self, encrypted_text: str) -> str:
        sealed = bytes.fromhex(encrypted_text)
        return secrets.open_(sealed, place=f"authenticator.secret/{_owner.get()}")

    def _get_site_name(self) -> str:
        return gettext("Handle Marketplace")

    def _get_user_identifier(self, user: User) -> str:
        mails = MailAddress.objects.filter(member__user=user, replaced_at=None).order_by("id")
        found = mails.first()
        return found.address if found else user.get_username()

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        entity: dict[str, Any] = super().get_public_key_credential_user_entity(user)
        return entity | {"display_name": self._get_user_identifier(user)}


@contextmanager
def _of(user: User) -> Iterator[None]:
    token = _owner.set(user.pk)
    try:
        yield
    finally:
        _owner.reset(token)


# Giving one


def by_code(*, user: User, code: str) -> Authenticator | None:
    """The TOTP or recovery code's row if `code` is right; each is good once.

    Refuses `rate_limited`.
    """
    who = str(user.pk)
    for what in ("factor", "factor_a_day"):
        limits.spend(what, who=who)
    typed = "".join(filter(str.isalnum, code)).translate(DIGITS)
    found = _totp(user, typed) or _recovery_code(user, typed)
    if found is not None:
        for what in ("factor", "factor_a_day"):
            limits.forget(what, who=who)
    return found


DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")


def _totp(user: User, code: str) -> Authenticator | None:
    """RFC 6238: a counter that was used, and any before it, is not taken again."""
    with transaction.atomic(), _of(user):
        row = _locked(user, Type.TOTP)
        if row is None:
            return None
        secret = Factors().decrypt(row.data["secret"])
        for counter in totp.yield_hotp_counters_from_time():
            value = totp.format_hotp_value(totp.hotp_value(secret, counter))
            if value == code and counter > row.data.get("used_counter", 0):
                row.data["used_counter"] = counter
                row.save(update_fields=["data"])
                return row
    return None


def _recovery_code(user: User, code: str) -> Authenticator | None:
    with transaction.atomic(), _of(user):
        row = _locked(user, Type.RECOVERY_CODES)
        return row if row and RecoveryCodes(row).validate_code(code) else None


def _locked(user: User, type_: str) -> Authenticator | None:
    found = Authenticator.objects.filter(user=user, type=type_).first()
    return rowlocks.authenticator(found.pk) if found else None


def passkey_options(user: User | None) -> dict[str, Any]:
    """What the browser asks its passkeys; None: whoever has one for this site."""
    options: dict[str, Any] = webauthn.begin_authentication(user)
    return options


def by_passkey(*, user: User, credential: str) -> Authenticator | None:
    """The passkey's row if it is the user's and signed our challenge."""
    answer = readable(credential)
    form = AuthenticateWebAuthnForm({"credential": answer}, user=user) if answer else None
    return form.cleaned_data["credential"] if form and valid(form) else None


def readable(credential: str) -> str | None:
    """A browser's answer if it is a JSON object at all."""
    try:
        return credential if isinstance(json.loads(credential), dict) else None
    except (ValueError, RecursionError):
        return None


def valid(form: Any) -> bool:
    """allauth's form reads what a stranger sent, and trips over some of it."""
    try:
        return bool(form.is_valid())
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return False


def confirm(request: HttpRequest, *, user: User, code: str = "", credential: str = "") -> str:
    """A second factor given again in a session: its type, or nothing if it was wrong."""
    if credential:
        found = by_passkey(user=user, credential=credential)
    else:
        found = by_code(user=user, code=code)
    if found is None:
        return ""
    post_authentication(request, found)
    return str(found.type)


# Setting up and removing; the surface has made sure that the member has just proven who they are


def totp_secret(*, renew: bool = False) -> str:
    """The secret of the set-up under way, kept in the sealed session until its first code."""
    secret: str = totp.get_totp_secret(regenerate=renew)
    return secret


def totp_picture(*, user: User) -> str:
    """The QR code (SVG) of the set-up under way."""
    adapter = Factors()
    picture: str = adapter.build_totp_svg(adapter.build_totp_url(user, totp_secret()))
    return picture


def add_totp(request: HttpRequest, *, member: str, code: str) -> list[str] | None:
    """The recovery codes made with it (none if there were some); None if the code is wrong.

    Refuses `rate_limited`, and `malformed` when TOTP is set up already.
    """
    limits.spend("factor", who=f"new/{member}")
    secret = totp_secret()
    typed = "".join(filter(str.isalnum, code)).translate(DIGITS)
    if not totp.validate_totp_code(secret, typed):
        return None
    with transaction.atomic():
        row = rowlocks.member(member)
        user = _user(row)
        if Authenticator.objects.filter(user=user, type=Type.TOTP).exists():
            raise Malformed("an authenticator app is set up already")
        with _of(user):
            made = totp.TOTP.activate(user, secret).instance
            codes = _first_codes(user)
        _changed(row, "totp_added")
    totp.clear_totp_secret(request)
    record_authentication(request, user, "mfa", id=made.pk, type=made.type)
    return codes


def passkey_creation(*, member: str) -> dict[str, Any]:
    """What the browser makes a passkey from: one that signs in alone, behind its own lock."""
    options: dict[str, Any] = webauthn.begin_registration(
        _user(Member.objects.get(pk=member)), passwordless=True
    )
    return options


def add_passkey(
    request: HttpRequest, *, member: str, name: str, credential: str
) -> list[str] | None:
    """As `add_totp`: the recovery codes made with it, or None if the browser's answer is wrong."""
    row = Member.objects.get(pk=member)
    fields = {"name": " ".join(name.split())[:LONGEST_NAME], "passwordless": "on"}
    answer = readable(credential)
    form = AddWebAuthnForm(fields | {"credential": answer}, user=_user(row)) if answer else None
    if form is None or not valid(form):
        return None
    with transaction.atomic():
        row = rowlocks.member(member)
        user = _user(row)
        said = form.cleaned_data
        made = webauthn.WebAuthn.add(user, said["name"], said["credential"]).instance
        with _of(user):
            codes = _first_codes(user)
        _changed(row, "passkey_added")
    record_authentication(request, user, "mfa", id=made.pk, type=made.type)
    return codes


def remove(*, member: str, factor_id: int) -> None:
    """Take a passkey or TOTP away; the recovery codes go with the last one. `not_found`."""
    with transaction.atomic():
        row = rowlocks.member(member)
        mine = Authenticator.objects.filter(user=row.user, pk=factor_id)
        gone = mine.exclude(type=Type.RECOVERY_CODES).first()
        if gone is None:
            raise NotFound("no such second factor")
        gone.delete()
        delete_dangling_recovery_codes(_user(row))
        _changed(row, "totp_removed" if gone.type == Type.TOTP else "passkey_removed")


def new_recovery_codes(*, member: str) -> list[str]:
    """Ten fresh ones, shown this once; the old ones are void. `malformed` without a factor."""
    with transaction.atomic():
        row = rowlocks.member(member)
        user = _user(row)
        mine = Authenticator.objects.filter(user=user)
        if not mine.exclude(type=Type.RECOVERY_CODES).exists():
            raise Malformed("set up a second factor first")
        mine.filter(type=Type.RECOVERY_CODES).delete()
        with _of(user):
            codes = _first_codes(user)
        tell(row, "recovery_codes_made", now=clock.now())
        return codes


def _first_codes(user: User) -> list[str]:
    if Authenticator.objects.filter(user=user, type=Type.RECOVERY_CODES).exists():
        return []
    made: list[str] = RecoveryCodes.activate(user).generate_codes()
    return made


def _changed(row: Member, what: str) -> None:
    row.security_changed_at = clock.now()
    row.save(update_fields=["security_changed_at"])
    tell(row, what, now=row.security_changed_at)


def tell(row: Member, what: str, *, now: datetime) -> None:
    """Write to every address of the member how signing in was changed: a case of the letter."""
    record.notify(
        namespace=row.namespace_id,
        kind="security_changed",
        about=ids.new("sec"),
        now=now,
        member=row.id,
        facts={"what": what},
    )


def _user(row: Member) -> User:
    if row.user is None:
        raise NotFound("this member has no sign-in yet")
    return row.user


def equip(*, member: str, since: datetime, secret: str | None = None) -> str:
    """TOTP of long standing, for the demo's people: set up `since`, which nobody is told of."""
    with transaction.atomic():
        user = _user(rowlocks.member(member))
        secret = secret or totp.generate_totp_secret()
        with _of(user):
            made = totp.TOTP.activate(user, secret).instance
        Authenticator.objects.filter(pk=made.pk).update(created_at=since)
        return secret
