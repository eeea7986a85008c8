"""Signing in: by password, mail code or passkey, then the second factor if there is one.

Members are found by the sealed index of their address; allauth's login stages say what is still
asked. Whatever goes on with a sign-in answers the address to go to; docs/concepts/sign-in.md.
"""

from __future__ import annotations

import secrets as random
from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows import login as logins
from allauth.account.models import Login
from allauth.account.stages import LoginStageController
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.webauthn.forms import LoginWebAuthnForm
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import get_language

from onym.core import codes
from onym.core.errors import Malformed, NotFound, NotSignedIn
from onym.flows import clock as clocks
from onym.flows import factors, limits, people, record
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import MailCode, Member

CODE_IN_SESSION = "mail_code"
LONGEST_ADDRESS = 254
FORGOTTEN_AFTER = timedelta(days=1)


class ByMail(ModelBackend):
    """A member by address and password; an unknown address takes as long as a wrong password."""

    def authenticate(  # type: ignore[override]  # by mail, not by name
        self,
        request: HttpRequest | None,
        mail: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if mail is None or password is None:
            return None
        member = _member(mail)
        found = super().authenticate(
            request, username=member.id if member else "", password=password
        )
        return found if isinstance(found, User) else None


class Account(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """What allauth asks us: after the first proof there is one more stage, and no mail of its."""

    def get_login_stages(self) -> list[str]:
        return ["onym.flows.sign_in.FactorStage"]

    def get_login_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002 - allauth's
        return f"/{get_language()}/me"

    def respond_user_inactive(self, *_: Any) -> HttpResponse:
        return HttpResponseRedirect(f"/{get_language()}/sign-in")

    def add_message(self, *_: Any, **__: Any) -> None:
        """The pages say themselves what happened."""


class FactorStage(AuthenticateStage):  # type: ignore[misc]  # allauth ships no types
    """Asks for the second factor, unless a passkey (or the demo) has shown it already."""

    def handle(self) -> tuple[HttpResponse | None, bool]:
        shown = logins.get_authentication_records(self.request, self.login.user)
        if any(one.get("at_once") for one in shown) or not self._should_handle(self.request):
            return None, True
        return HttpResponseRedirect(f"/{get_language()}/sign-in/factor"), True


def user(request: HttpRequest) -> User:
    """Who is signed in. Refuses `not_signed_in`."""
    if not isinstance(request.user, User):
        raise NotSignedIn("sign in first")
    return request.user


# The first proof


def by_password(request: HttpRequest, *, mail: str, password: str, to: str) -> str | None:
    """Where to go on; None if address and password do not belong together. `rate_limited`."""
    limits.spend("sign_in", who=mail)
    user = auth.authenticate(request, mail=mail, password=password)
    return _go_on(request, user, to=to, method="password") if isinstance(user, User) else None


def by_passkey(request: HttpRequest, *, credential: str, to: str) -> str | None:
    """Both proofs in one, as the passkey's own lock was opened. `rate_limited`."""
    limits.spend("passkey", who=limits.where(request))
    answer = factors.readable(credential)
    form = LoginWebAuthnForm({"credential": answer}) if answer else None
    if form is None or not factors.valid(form):
        return None
    row: Authenticator = form.cleaned_data["credential"]
    post_authentication(request, row, passwordless=True)
    return _resume(logins.perform_login(request, Login(user=row.user, redirect_url=to)))


def as_demo(request: HttpRequest, *, member: str, to: str) -> str:
    """One click, as if the second factor had been given. Refuses `not_found` in production."""
    clocks.expect_demo()
    found = Member.objects.select_related("user").filter(pk=member).first()
    if found is None or found.user is None:
        raise NotFound("nobody of the demo")
    return _go_on(
        request, found.user, to=to, method="mfa", type=Authenticator.Type.TOTP.value, at_once=True
    )


def by_account(request: HttpRequest, *, member: Member, to: str) -> str:
    """Whom the platform has vouched for; the second factor is asked for if there is one."""
    with transaction.atomic():
        user = _user(member)
    return _go_on(request, user, to=to, method="platform")


def _go_on(request: HttpRequest, user: User, *, to: str, method: str, **facts: Any) -> str:
    logins.record_authentication(request, user, method, **facts)
    return _resume(logins.perform_login(request, Login(user=user, redirect_url=to)))


def _resume(answer: HttpResponse) -> str:
    return answer["Location"]


# The second


def pending(request: HttpRequest) -> User | None:
    """Whose second factor is asked for at present."""
    stage = LoginStageController.enter(request, FactorStage.key)
    return stage.login.user if stage else None


def by_factor(request: HttpRequest, *, code: str = "", credential: str = "") -> str | None:
    """Where to go on; None if it is wrong. Refuses `not_found` if nothing is asked for."""
    stage = LoginStageController.enter(request, FactorStage.key)
    if stage is None:
        raise NotFound("sign in first")
    if not factors.confirm(request, user=stage.login.user, code=code, credential=credential):
        return None
    return _resume(stage.exit())


# Codes by mail


def order_code(
    request: HttpRequest, *, mail: str, language: str, joins: bool = False, name: str = ""
) -> None:
    """Send a code to a member's address, or to anybody's who joins; an unknown one gets none.

    Nobody who asks can tell, not by the time it takes either. Refuses `malformed`, `rate_limited`.
    """
    expect_address(mail)
    limits.spend("mail_code_from", who=limits.where(request))
    limits.spend("mail_code", who=mail)
    with transaction.atomic():
        before = clock.machine() - FORGOTTEN_AFTER
        MailCode.objects.filter(ordered_at__lt=before).delete()
        id_ = make_code(mail=mail, name=name.strip()[:200], language=language, joins=joins)
    request.session[CODE_IN_SESSION] = id_


def make_code(*, mail: str, name: str = "", **fields: Any) -> str:
    """The id of a new code, whose letter `send_code` orders later, as a job: what is done here is
    the same for every address.
    """
    id_, code = ids.new("cod"), f"{random.randbelow(1_000_000):06}"
    MailCode.objects.create(
        id=id_,
        namespace_id=settings.NAMESPACE,
        address_sealed=secrets.seal(mail, place=f"mailcode.address/{id_}"),
        name_sealed=secrets.seal(name, place=f"mailcode.name/{id_}"),
        digest=digest(id_, code),
        ordered_at=clock.machine(),
        **fields,
    )
    sealed = secrets.seal(code, place=f"mailcode.code/{id_}").hex()
    record.defer("sign_in.send_code", lock=id_, code_id=id_, code_sealed=sealed)
    return id_


def send_code(*, code_id: str, code_sealed: str) -> None:
    """Order the letter with a code, if its address is to have one. A second time is nothing."""
    with transaction.atomic():
        row = MailCode.objects.filter(pk=code_id).first()
        if row is None or not _is_awaited(row, owner := _member(row.address)):
            return
        if owner is not None:  # who is forgotten takes it along
            row.member = owner
            row.save(update_fields=["member"])
        record.notify(
            namespace=row.namespace_id,
            kind="sign_in_code",
            about=row.id,
            now=clock.now(),
            address=row.address,
            language=row.language,
            facts={"code_sealed": code_sealed, "code_id": row.id},
        )


def _is_awaited(row: MailCode, owner: Member | None) -> bool:
    """A member signs in with the address, somebody joins with it, or it is free to change to."""
    if row.changes:
        return owner is None
    return row.joins or owner is not None


def by_mail_code(request: HttpRequest, *, code: str, to: str) -> str | None:
    """Where to go on; None if the code is wrong, spent or late. Who joins is a member then."""
    typed = "".join(filter(str.isalnum, code)).translate(factors.DIGITS)
    with transaction.atomic():
        row = _ordered(request)
        if row is None:
            return None
        found, right = codes.guess(
            row.snapshot(), digest=digest(row.id, typed), now=clock.machine()
        )
        row.guesses, row.spent = found.guesses, found.spent
        row.save(update_fields=["guesses", "spent"])
        member = _whose(row) if right else None
        user = _user(member) if member else None
    return _go_on(request, user, to=to, method="code") if user else None


def _ordered(request: HttpRequest) -> MailCode | None:
    try:
        row = rowlocks.mail_code(request.session.get(CODE_IN_SESSION, ""))
    except NotFound:
        return None
    return None if row.changes else row


def _whose(row: MailCode) -> Member | None:
    """The address's member of now, or the one who joins with it."""
    member = _member(row.address)
    if member is None and row.joins:
        member = people.join(
            namespace=row.namespace_id, name=row.name, mail=row.address, language=row.language
        )
    return member


def _user(member: Member) -> User:
    """What a session hangs on; made without a password when the first code comes back."""
    row = rowlocks.member(member.id)
    if row.user is None:
        row.user = User.objects.create_user(username=row.id)
        row.save(update_fields=["user"])
    return row.user


def _member(mail: str) -> Member | None:
    try:
        return people.by_mail(namespace=settings.NAMESPACE, mail=mail)
    except NotFound:
        return None


def digest(id_: str, code: str) -> str:
    """What is kept of a code."""
    return secrets.index(code, purpose=f"mailcode/{id_}")


def expect_address(mail: str) -> None:
    """Refuses `malformed` what is no mail address."""
    try:
        validate_email(mail)
    except ValidationError as error:
        raise Malformed("write a mail address") from error
    if len(mail) > LONGEST_ADDRESS:
        raise Malformed("write a mail address")
