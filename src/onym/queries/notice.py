"""Letters to be written: what to say to whom, in which language, by which channel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency
from django.conf import settings
from django.db.models import Q

from onym.core.errors import NotFound
from onym.core.invitation import is_silenced
from onym.core.money import MINOR_DIGITS, Money
from onym.queries import reasons
from onym.store import secrets
from onym.store.models import Invitation, Link, MailAddress, Notice, Suppression
from onym.store.reclaim import keep_token


@dataclass(frozen=True, slots=True)
class Letter:
    """`facts` fill the template of `kind`; `id` makes a second sending recognisable."""

    id: str
    namespace: str
    kind: str
    channel: str
    language: str
    facts: Mapping[str, Any]
    account_id: str | None = None
    address: str = ""
    suppressed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def letter(notice_id: str) -> Letter | None:
    """A notice that still has to be sent, else None."""
    row = Notice.objects.get(pk=notice_id)
    if row.state not in ("pending", "unknown"):
        return None
    address = ""
    if row.address_sealed:
        address = secrets.open_(bytes(row.address_sealed), place=f"notice.address/{row.id}")
    facts = _facts(row)
    return Letter(
        id=row.id,
        namespace=row.namespace_id,
        kind=row.kind,
        channel=row.channel,
        language=row.language,
        facts=facts,
        headers=_unsubscribe(facts.get("unsubscribe")),
        account_id=row.account_id,
        address=address,
        suppressed=_is_suppressed(row),
    )


def _facts(row: Notice) -> dict[str, Any]:
    return complete(row.facts, language=row.language, namespace=row.namespace_id)


def complete(facts: Mapping[str, Any], *, language: str, namespace: str) -> dict[str, Any]:
    """Facts as kept, made ready for a template: the link, instants, reasons in words."""
    made = dict(facts)
    for name in [name for name in made if name.endswith("_at") and made[name]]:
        made[name] = datetime.fromisoformat(made[name])
    made["why"] = reasons.phrases(made.get("reasons", ()), language=language)
    if "missing" in made:
        missing = Money(int(made["missing"]["minor"]), made["missing"]["currency"])
        made["missing"] = _written(missing, language)
    if isinstance(made.get("amount"), dict):  # an appeal's letter has it in words already
        amount = Money(int(made["amount"]["minor"]), made["amount"]["currency"])
        made["amount"] = _written(amount, language)
    if "hits" in made:
        made["hits"] = [_hit(hit, language=language) for hit in made["hits"]]
    href = _href(made, language=language, namespace=namespace)
    if code := made.pop("code_sealed", None):
        place = f"mailcode.code/{made['code_id']}"
        made["code"] = secrets.open_(bytes.fromhex(code), place=place)
    return made | ({"href": href} if href else {})


def _hit(hit: Mapping[str, Any], *, language: str) -> dict[str, Any]:
    """A line of a letter about watches, with the price as its language writes it."""
    price = hit["price"]
    if price is None:
        return {**hit}
    return {**hit, "price": _written(Money(price["minor"], price["currency"]), language)}


def _written(money: Money, language: str) -> str:
    """An amount as a letter's language writes it."""
    whole = Decimal(money.minor).scaleb(-MINOR_DIGITS[money.currency])
    return str(format_currency(whole, money.currency, locale=language))


def _href(facts: dict[str, Any], *, language: str, namespace: str) -> str | None:
    base = f"{settings.BASE_URL}/{language}"
    sealed, keep = facts.pop("token_sealed", None), facts.get("keep")
    if sealed is not None:
        token = secrets.open_(bytes.fromhex(sealed), place=f"offer.token/{facts['offer']}")
        return f"{base}/offers/{token}"
    if keep:
        return f"{base}/keep/{keep_token(namespace=namespace, **keep)}"
    if "alerts" in facts:
        facts["unsubscribe"] = f"{base}/alerts/{facts.pop('alerts')}"
        return f"{base}/me"
    if "wallet" in facts:
        return f"{base}/wallet"
    if "payout" in facts:
        return f"{base}/me/payout"
    return f"{base}/sales/{facts['sale']}" if "sale" in facts else None


def _is_suppressed(row: Notice) -> bool:
    if not row.address_index:
        return False
    known = Suppression.objects.filter(
        namespace_id=row.namespace_id, address_index=row.address_index
    )
    return is_silenced(row.kind, by=known.values_list("reason", flat=True).first())


@dataclass(frozen=True, slots=True)
class Told:
    """A notice as the one it was sent to sees it; `facts` fill the template of `kind`."""

    id: str
    kind: str
    channel: str
    state: str
    language: str
    made_at: datetime
    answered_at: datetime | None
    facts: Mapping[str, Any]


def mine(member: str, *, namespace: str, limit: int = 100) -> list[Told]:
    """What was sent to the member's addresses and accounts, the latest first."""
    return [_told(row) for row in _to(member, namespace).order_by("-made_at", "-id")[:limit]]


def one_of_mine(notice_id: str, *, member: str, namespace: str) -> Told:
    """One of them. Whoever it was not sent to finds nothing."""
    row = _to(member, namespace).filter(pk=notice_id).first()
    if row is None:
        raise NotFound("no such notice")
    return _told(row)


def _to(member: str, namespace: str) -> Any:
    mails = MailAddress.objects.filter(member_id=member, replaced_at=None).values("address_index")
    accounts = Link.objects.filter(member_id=member, unlinked_at=None).values("account_id")
    to_them = Q(address_index__in=mails) | Q(account_id__in=accounts)
    return Notice.objects.filter(to_them, namespace_id=namespace)


def _told(row: Notice) -> Told:
    return Told(
        id=row.id,
        kind=row.kind,
        channel=row.channel,
        state=row.state,
        language=row.language,
        made_at=row.made_at,
        answered_at=row.answered_at,
        facts=_facts(row),
    )


@dataclass(frozen=True, slots=True)
class InvitationOrder:
    id: str
    position: int


def invitations(campaign_id: str) -> Sequence[InvitationOrder]:
    """What a campaign still has to send, in the order of the commitment: what no server took."""
    rows = Invitation.objects.filter(
        campaign_id=campaign_id, state__in=("committed", "sent"), mailed_at=None
    )
    found = rows.order_by("position").values_list("id", "position")
    return [InvitationOrder(id_, position) for id_, position in found]


def invitation_letter(invitation_id: str) -> Letter:
    """The mail to one recipient; it names neither handle nor price."""
    row = Invitation.objects.select_related("campaign").get(pk=invitation_id)
    plain = secrets.open_(bytes(row.recipient_sealed), place=f"invitation.recipient/{row.id}")
    mail, name, language = json.loads(plain)
    unsubscribe = f"{settings.BASE_URL}/{language}/unsubscribe/{row.token}"
    return Letter(
        id=row.id,
        namespace=row.campaign.namespace_id,
        kind="invitation",
        channel="mail",
        language=language,
        facts={
            "name": name,
            "href": f"{settings.BASE_URL}/{language}/invitations/{row.token}",
            "unsubscribe": unsubscribe,
            "expires_at": row.expires_at,
        },
        address=mail,
        headers=_unsubscribe(unsubscribe),
    )


def _unsubscribe(href: str | None) -> dict[str, str]:
    """One-click unsubscribe (RFC 8058), for letters that one can end."""
    if href is None:
        return {}
    one_click = "List-Unsubscribe=One-Click"
    return {"List-Unsubscribe": f"<{href}>", "List-Unsubscribe-Post": one_click}
