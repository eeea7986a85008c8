"""The table of verbs: method and path to a function, by the name that faults use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from onym_demo.payments import (
    accounts,
    charges,
    disputes,
    intents,
    ledger_lines,
    lists,
    methods,
    refunds,
    sessions,
    transfers,
    wire,
)
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, Answer

Verb = Callable[[Provider, Call], JSON | Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is how a fault names the verb, e.g. `payment_intents.confirm`."""

    method: str
    pattern: re.Pattern[str]
    name: str
    verb: Verb


def _route(method: str, path: str, name: str, verb: Verb) -> Route:
    pattern = re.compile(path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)"))
    return Route(method, pattern, name, verb)


def _method(provider: Provider, call: Call) -> JSON:
    return methods.wire(call.id, created=provider.now())


def _event(provider: Provider, call: Call) -> JSON:
    event = provider.state.find("event", call.id)
    if event is None:
        raise wire.missing(noun="event", identity=call.id)
    return event


def _list(kind: str) -> Verb:
    return partial(lists.listed, kind=kind)


PI, PIS = "/v1/payment_intents/{id}", "/v1/payment_intents"

CS, CSS = "/v1/checkout/sessions/{id}", "/v1/checkout/sessions"

ROUTES = [
    _route(
        "GET",
        f"{PIS}/search",
        "payment_intents.search",
        partial(lists.search, kind="payment_intent"),
    ),
    _route("POST", PIS, "payment_intents.create", intents.create),
    _route("GET", PIS, "payment_intents.list", _list("payment_intent")),
    _route("GET", PI, "payment_intents.retrieve", intents.retrieve),
    _route("POST", PI, "payment_intents.update", intents.update),
    _route("POST", f"{PI}/confirm", "payment_intents.confirm", intents.confirm),
    _route("POST", f"{PI}/capture", "payment_intents.capture", intents.capture),
    _route("POST", f"{PI}/cancel", "payment_intents.cancel", intents.cancel),
    _route("POST", CSS, "checkout.sessions.create", sessions.create),
    _route("GET", CSS, "checkout.sessions.list", _list("checkout.session")),
    _route("GET", CS, "checkout.sessions.retrieve", sessions.retrieve),
    _route("POST", f"{CS}/expire", "checkout.sessions.expire", sessions.expire),
    _route("GET", "/v1/payment_methods/{id}", "payment_methods.retrieve", _method),
    _route("GET", "/v1/charges", "charges.list", _list("charge")),
    _route("GET", "/v1/charges/{id}", "charges.retrieve", charges.retrieve),
    _route("POST", "/v1/refunds", "refunds.create", refunds.create),
    _route("GET", "/v1/refunds", "refunds.list", _list("refund")),
    _route("GET", "/v1/refunds/{id}", "refunds.retrieve", refunds.retrieve),
    _route("POST", "/v1/accounts", "accounts.create", accounts.create),
    _route("GET", "/v1/accounts", "accounts.list", _list("account")),
    _route("GET", "/v1/accounts/{id}", "accounts.retrieve", accounts.retrieve),
    _route("POST", "/v1/account_links", "account_links.create", accounts.link),
    _route("POST", "/v1/transfers", "transfers.create", transfers.create),
    _route("GET", "/v1/transfers", "transfers.list", _list("transfer")),
    _route("GET", "/v1/transfers/{id}", "transfers.retrieve", transfers.retrieve),
    _route("POST", "/v1/transfers/{id}/reversals", "transfers.reverse", transfers.reverse),
    _route("POST", "/v1/payouts", "payouts.create", transfers.pay_out),
    _route("GET", "/v1/payouts", "payouts.list", _list("payout")),
    _route("GET", "/v1/payouts/{id}", "payouts.retrieve", transfers.retrieve_payout),
    _route("GET", "/v1/balance", "balance.retrieve", ledger_lines.balance),
    _route(
        "GET", "/v1/balance_transactions", "balance_transactions.list", _list("balance_transaction")
    ),
    _route(
        "GET",
        "/v1/balance_transactions/{id}",
        "balance_transactions.retrieve",
        ledger_lines.retrieve,
    ),
    _route("GET", "/v1/disputes", "disputes.list", _list("dispute")),
    _route("GET", "/v1/disputes/{id}", "disputes.retrieve", disputes.retrieve),
    _route("POST", "/v1/disputes/{id}", "disputes.update", disputes.update),
    _route("POST", "/v1/disputes/{id}/close", "disputes.close", disputes.close),
    _route("GET", "/v1/events", "events.list", _list("event")),
    _route("GET", "/v1/events/{id}", "events.retrieve", _event),
]


def match(method: str, path: str) -> tuple[Route, str] | None:
    """The route for a request and the id in its path."""
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found and route.method == method:
            return route, found.groupdict().get("id", "")
    return None
