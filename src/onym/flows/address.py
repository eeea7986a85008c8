"""Changing the mail address: a code proves the new one, the old one is told, and nothing of the
member's is sold for thirty days; docs/concepts/sign-in.md.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.http import HttpRequest

from onym.core import codes
from onym.core.errors import NotFound
from onym.flows import factors, limits, people, record, sign_in
from onym.store import clock, ids, rowlocks
from onym.store.models import MailAddress, MailCode, Member

IN_SESSION = "address_code"


def order_code(request: HttpRequest, *, member: str, mail: str, language: str) -> None:
    """Send a code to the new address; none where it is somebody's already, which nobody can tell,
    not by the time it takes either.

    Refuses `malformed`, `rate_limited`. The surface has made sure who asks.
    """
    sign_in.expect_address(mail)
    limits.spend("mail_code", who=mail)
    limits.spend("mail_code_from", who=member)
    with transaction.atomic():
        row = rowlocks.member(member)
        id_ = sign_in.make_code(mail=mail, language=language, member=row, joins=False, changes=True)
    request.session[IN_SESSION] = id_


def waiting(request: HttpRequest) -> bool:
    """Whether a code for a new address was ordered in this browser."""
    return IN_SESSION in request.session


def confirm(request: HttpRequest, *, member: str, code: str) -> bool:
    """The address is changed if the code is right; False if it is wrong, spent or late.

    Refuses `not_allowed` where somebody else took the address meanwhile.
    """
    typed = "".join(filter(str.isalnum, code)).translate(factors.DIGITS)
    with transaction.atomic():
        row = rowlocks.member(member)
        asked = _ordered(request, member)
        if asked is None:
            return False
        found, right = codes.guess(
            asked.snapshot(), digest=sign_in.digest(asked.id, typed), now=clock.machine()
        )
        asked.guesses, asked.spent = found.guesses, found.spent
        asked.save(update_fields=["guesses", "spent"])
        if right:
            _change(row, asked.address, now=clock.now())
    if right:
        del request.session[IN_SESSION]
    return right


def _ordered(request: HttpRequest, member: str) -> MailCode | None:
    try:
        row = rowlocks.mail_code(request.session.get(IN_SESSION, ""))
    except NotFound:
        return None
    return row if row.changes and row.member_id == member else None


def _change(row: Member, mail: str, *, now: datetime) -> None:
    """The old addresses hear of it; the first address of a member changes nothing yet."""
    old = list(MailAddress.objects.filter(member=row, replaced_at=None))
    MailAddress.objects.filter(pk__in=[one.pk for one in old]).update(replaced_at=now)
    people.verified(row, mail, now=now)
    if not old:
        return
    row.security_changed_at = now
    row.save(update_fields=["security_changed_at"])
    about = ids.new("sec")
    for address in [mail, *(one.address for one in old)]:
        record.notify(
            namespace=row.namespace_id,
            kind="security_changed",
            about=about,
            now=now,
            address=address,
            language=row.language,
            facts={"what": "mail_changed"},
        )
