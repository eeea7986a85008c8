"""Signing in with the platform, and linking an account by it: state, nonce and verifier wait in
the sealed session, and are good once and for ten minutes; docs/concepts/sign-in.md.
"""

from __future__ import annotations

import hmac
import secrets as random
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import get_language

from onym import ports
from onym.core.errors import Expired, NotAllowed, NotFound
from onym.flows import answer as answers
from onym.flows import limits, link, people, sign_in
from onym.ports.openid import OpenId
from onym.store import clock
from onym.store.models import Link, Member

WAITING = "openid"
LASTS_SECONDS = 600


def offered() -> str:
    """How the operator's platform can be signed in with: `openid`, `atproto`, or not at all."""
    found = ports.openid(settings.NAMESPACE)
    return found.kind if found else ""


def document() -> Mapping[str, Any] | None:
    """What the market publishes of itself for the platform to read; None: nothing."""
    found = ports.openid(settings.NAMESPACE)
    return found.document() if found else None


def begin(
    request: HttpRequest,
    *,
    to: str,
    member: str | None = None,
    answer: str | None = None,
    handle: str = "",
) -> str:
    """The platform's address to lead the browser to. `member` links and `answer` proves an answer
    to an offer: nobody signs in. With a `handle` only the account that holds it now will do.

    Refuses `not_found` where it is not offered or nobody holds the handle, `handle_malformed`,
    `rate_limited`, `platform_unavailable`.
    """
    who = limits.where(request)
    limits.spend("openid", who=who)
    provider = _provider()
    expected = (
        link.look_up(namespace=settings.NAMESPACE, handle=handle, by=member or who).account_id
        if handle
        else ""
    )
    names = ("state", "nonce", "verifier")
    made = {name: random.token_urlsafe(48) for name in names}
    where = provider.begin(**made, hint=expected)
    now = clock.machine().timestamp()
    request.session[WAITING] = made | {
        "to": to,
        "member": member,
        "account": expected,
        "answer": answer,
        "at": now,
        "language": get_language() or "en",
    }
    return where


def language(request: HttpRequest) -> str | None:
    """The language of the page that a sign-in was begun from."""
    asked = request.session.get(WAITING)
    return str(asked["language"]) if asked else None


def finish(request: HttpRequest, *, state: str, code: str, issuer: str) -> str:
    """Where to go on: signed in as the account's member, a new one at the first time, or linked.

    Refuses `not_allowed` what is not the answer to what was begun in this browser, `expired`,
    `platform_unavailable`.
    """
    asked = _begun(request, state)
    if clock.machine().timestamp() - asked["at"] > LASTS_SECONDS:
        raise Expired("this sign-in took too long; begin again")
    account_id = _provider().finish(
        code=code, nonce=asked["nonce"], verifier=asked["verifier"], issuer=issuer
    )
    if asked.get("account") not in (None, "", account_id):
        raise NotAllowed("this is another account than the one that was to be proven")
    if asked.get("answer"):
        answers.prove_by_account(answer_id=asked["answer"], account_id=account_id)
        return str(asked["to"])
    if asked["member"]:
        return _link(request, asked["member"], account_id, to=asked["to"])
    known = _linked(account_id)
    to = asked["to"] if known else f"/{asked['language']}/security/mail"  # letters need an address
    return sign_in.by_account(request, member=known or _member(account_id), to=to)


def refused(request: HttpRequest, *, state: str) -> str:
    """Where to go on after the platform's no; with it the sign-in is over.

    Refuses `not_allowed` what is not the answer to what was begun in this browser.
    """
    asked = _begun(request, state)
    if asked.get("answer"):
        return str(asked["to"])
    page = "me/accounts" if asked["member"] else "sign-in"
    return f"/{asked['language']}/{page}?refused=platform"


def _begun(request: HttpRequest, state: str) -> dict[str, Any]:
    """What was begun in this browser; whoever comes back a second time finds nothing."""
    asked: dict[str, Any] | None = request.session.pop(WAITING, None)
    if asked is None or not hmac.compare_digest(asked["state"].encode(), state.encode()):
        raise NotAllowed("this sign-in was not begun in this browser")
    return asked


def _link(request: HttpRequest, member: str, account_id: str, *, to: str) -> str:
    found = Member.objects.filter(user=sign_in.user(request)).first()
    if found is None or found.id != member:
        raise NotAllowed("somebody else has signed in meanwhile")
    people.link(member=member, account_id=account_id, tell=True)
    return to


def _member(account_id: str) -> Member:
    """The member whom the account is linked to; at the first time one is made."""
    found = _linked(account_id)
    if found is None:
        try:
            with transaction.atomic():
                return people.arrive(
                    namespace=settings.NAMESPACE,
                    account_id=account_id,
                    language=get_language() or "en",
                )
        except NotAllowed:  # in another window they were faster
            found = _linked(account_id)
    if found is None:
        raise NotAllowed("the account is linked to another member")
    return found


def _linked(account_id: str) -> Member | None:
    rows = Link.objects.select_related("member").filter(
        namespace_id=settings.NAMESPACE, account_id=account_id, unlinked_at=None
    )
    row = rows.first()
    return row.member if row else None


def _provider() -> OpenId:
    found = ports.openid(settings.NAMESPACE)
    if found is None:
        raise NotFound("the platform offers no sign-in")
    return found
