"""Connected accounts: they may receive transfers once their holder has given details."""

from __future__ import annotations

import re

from onym_demo.payments import events, wire
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, WireError

FIELDS = [
    *("type", "controller", "country", "email", "capabilities"),
    *("business_type", "business_profile", "tos_acceptance"),
]
LINK_FIELDS = ["account", "type", "refresh_url", "return_url", "collection_options"]


def create(provider: Provider, call: Call) -> JSON:
    wire.only(call.params, FIELDS)
    mail = wire.word(call.params, "email", default="")
    if mail and not re.fullmatch(r"[^@\s]+@[^@\s]+", mail):
        raise WireError(f"Invalid email address: {mail}", code="email_invalid", param="email")
    account = provider.state.put(_new(provider, call.params, mail))
    events.record(provider, "account.updated", account, account=account["id"])
    return account


def _new(provider: Provider, params: JSON, mail: str) -> JSON:
    return {
        "id": wire.new_id("acct"),
        "object": "account",
        "capabilities": {"transfers": "inactive"},
        "charges_enabled": False,
        "country": wire.word(params, "country", default="US"),
        "created": provider.now(),
        "default_currency": "usd",
        "details_submitted": False,
        "email": mail or None,
        "metadata": wire.metadata(params),
        "payouts_enabled": False,
        "requirements": {"currently_due": ["external_account"], "disabled_reason": None},
        "type": wire.word(params, "type", default="express"),
    }


def retrieve(provider: Provider, call: Call) -> JSON:
    account = provider.state.find("account", call.id)
    if account is None:
        raise wire.missing(noun="account", identity=call.id)
    return account


def complete(provider: Provider, identity: str) -> JSON:
    """The holder has given all details: transfers and payouts are on."""
    account = retrieve(provider, Call(id=identity))
    account |= {
        "capabilities": {"transfers": "active"},
        "details_submitted": True,
        "payouts_enabled": True,
        "requirements": {"currently_due": [], "disabled_reason": None},
    }
    provider.state.put(account)
    events.record(provider, "account.updated", account, account=identity)
    return account


def close(provider: Provider, identity: str) -> JSON:
    """The bank account behind it is closed: nothing may be sent there until details are given."""
    account = retrieve(provider, Call(id=identity))
    account |= {
        "capabilities": {"transfers": "inactive"},
        "payouts_enabled": False,
        "requirements": {
            "currently_due": ["external_account"],
            "disabled_reason": "requirements.past_due",
        },
    }
    provider.state.put(account)
    events.record(provider, "account.updated", account, account=identity)
    return account


def link(provider: Provider, call: Call) -> JSON:
    """A link to this server's own page, where the details are given with one click."""
    wire.only(call.params, LINK_FIELDS)
    account = retrieve(provider, Call(id=wire.word(call.params, "account")))
    back = wire.word(call.params, "return_url")
    provider.state.put({"id": f"back_{account['id']}", "object": "back", "url": back})
    return {
        "object": "account_link",
        "created": provider.now(),
        "expires_at": provider.now() + 300,
        "url": f"{provider.options.base}/demo/onboard/{account['id']}",
    }
