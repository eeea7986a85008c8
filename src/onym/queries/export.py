"""Everything that is kept about one member, as one object; docs/concepts/privacy.md."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db.models import Q

from onym.core.errors import NotFound
from onym.core.plain import plain
from onym.queries import invoice, ledger
from onym.store import secrets
from onym.store.models import (
    Appeal,
    BankAccount,
    Deposit,
    DisplacedShare,
    Hold,
    Invitation,
    Link,
    Listing,
    MailAddress,
    Member,
    Notice,
    Offer,
    Payout,
    PayoutAccount,
    Sale,
    Token,
    Watch,
    Webhook,
)

_PRICED = ("handle__handle", "price_minor", "currency", "state")


def export(member: str) -> dict[str, Any]:
    """By kind, each list in the order of time; instants in UTC, money in minor units. What others
    wrote in confidence, and secrets (passwords, tokens, keys), are not in it. Refuses `not_found`.
    """
    row = Member.objects.filter(pk=member).first()
    if row is None:
        raise NotFound("no such member")
    indexes = set(MailAddress.objects.filter(member=row).values_list("address_index", flat=True))
    told = {
        "member": _member(row),
        "addresses": [_address(one) for one in row.mailaddress_set.order_by("id")],
        "accounts": list(_rows(Link, Q(member=row), "account_id", "linked_at", "unlinked_at")),
        "payout_accounts": list(_rows(PayoutAccount, Q(member=row), "provider", "account")),
        "bank_accounts": list(_rows(BankAccount, Q(member=row), "ends_in", "set_at")),
        "invoices": [one | {"id": str(one["id"])} for one in invoice.of_member(row.id)],
        "tokens": list(_rows(Token, Q(member=row), "scopes", "expires_at", "revoked_at")),
        "sign_in": _sign_in(row),
        "sales": _sales(row),
        "listings": list(_rows(Listing, Q(seller=row), "id", *_PRICED, "opened_at", "closed_at")),
        "shares": list(
            _rows(DisplacedShare, Q(claimed_by=row), "sale_id", "minor", "currency", "claimed_at")
        ),
        "offers": list(_rows(Offer, Q(buyer=row), "id", *_PRICED)),
        "deposits": list(
            _rows(Deposit, Q(member=row), "id", "state", "amount_minor", "currency", "made_at")
        ),
        "payouts": list(
            _rows(Payout, Q(member=row), "id", "sale_id", "state", "amount_minor", "currency")
        ),
        "holds": list(
            _rows(Hold, Q(member=row), "kind", "subject", "state", "amount_minor", "currency")
        ),
        "statement": ledger.statement(row.id),
        "webhooks": list(_rows(Webhook, Q(member=row), "state", "made_at", "ended_at")),
        "watches": list(_rows(Watch, Q(member=row), "handle__handle", "prefix", "tier", "made_at")),
        "appeals": [_appeal(one) for one in Appeal.objects.filter(member=row).order_by("id")],
        "notices": list(
            _rows(Notice, Q(address_index__in=indexes), "kind", "about", "state", "made_at")
        ),
        "private_offers": list(
            _rows(
                Invitation,
                Q(recipient_index__in=indexes),
                "id",
                "campaign__handle__handle",
                "state",
                "sent_at",
            )
        ),
    }
    found: dict[str, Any] = plain(told)
    return found


def _rows(model: Any, which: Q, *columns: str) -> Any:
    return model.objects.filter(which).order_by("pk").values(*columns)


def _member(row: Member) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "language": row.language,
        "joined_at": row.created_at,
        "security_changed_at": row.security_changed_at,
    }


def _address(row: MailAddress) -> dict[str, Any]:
    return {
        "mail": row.address,
        "verified_at": row.verified_at,
        "replaced_at": row.replaced_at,
    }


def _sign_in(row: Member) -> dict[str, Any]:
    """Kinds of second factors, and where the member is signed in."""
    factors = Authenticator.objects.filter(user_id=row.user_id or 0).order_by("id")
    sessions = UserSession.objects.filter(user_id=row.user_id or 0).order_by("id")
    return {
        "factors": list(factors.values("type", "created_at", "last_used_at")),
        "sessions": list(sessions.values("ip", "user_agent", "created_at")),
    }


def _sales(row: Member) -> list[dict[str, Any]]:
    rows = Sale.objects.filter(Q(buyer=row) | Q(seller=row)).select_related("handle").order_by("id")
    return [
        {
            "id": one.id,
            "as": "buyer" if one.buyer_id == row.id else "seller",
            "handle": one.handle.handle,
            "term": one.term,
            "consented_at": one.consented_at if one.buyer_id == row.id else None,
            "state": one.state,
            "agreed_at": one.agreed_at,
            "gross": one.money("gross"),
            "proceeds": one.money("proceeds"),
        }
        for one in rows
    ]


def _appeal(row: Appeal) -> dict[str, Any]:
    return {
        "id": row.id,
        "handle": row.handle.handle,
        "text": row.text,
        "state": row.state,
        "opened_at": row.opened_at,
        "decided_at": row.decided_at,
    }


def member_of(*, namespace: str, mail: str) -> str:
    """The member whose verified address it is. Refuses `not_found`."""
    index = secrets.index(mail, purpose="mail")
    rows = MailAddress.objects.filter(namespace_id=namespace, address_index=index, replaced_at=None)
    found = rows.values_list("member_id", flat=True).first()
    if found is None:
        raise NotFound("no member has this address")
    return str(found)
