"""The payment provider: take a buyer's money, give it back, pay a seller; docs/guides/payments.md.

Whatever is asked twice under one key happens at most once, and an answer that never came is a
state of its own, `unknown`, which is resolved by asking and by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from onym.core.errors import Malformed
from onym.core.money import Money
from onym.core.reconcile import Line

ChargeState = Literal["paid", "authorised", "declined", "action_needed", "cancelled", "unknown"]
CheckoutState = Literal["open", "complete", "expired", "unknown"]
EffectState = Literal["done", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Charge:
    """What the provider says of one payment by a buyer.

    `paid` is captured in full. `declined` took nothing and is final for its key. `action_needed`:
    the buyer must confirm at `action_url` (empty when no return address was given). `cancelled`
    can never be paid. `unknown`: ask. `authorised`: the bank has agreed, and only `capture` takes
    the money. `reason` is a stable word of the provider's or ours. `checkout_id`: the page of the
    provider's that the buyer is led to.
    """

    state: ChargeState
    intent_id: str | None = None
    reason: str = ""
    captured_minor: int = 0
    action_url: str = ""
    checkout_id: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a buyer is led to the provider's own page for; the same under a key for ever.

    `until` is in seconds: then the page closes, half an hour to a day after it was opened.
    `language` and `mail` spare the buyer some typing.
    """

    key: str
    amount: Money
    sale_id: str
    title: str
    until: int
    success_url: str
    cancel_url: str
    language: str = ""
    mail: str = ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the provider says of its page. `open` at `url`. `complete`: the buyer has agreed, and
    `intent_id` is the payment to ask about. `expired`: nothing was taken there, nor ever will be.
    """

    state: CheckoutState
    id: str = ""
    url: str = ""
    intent_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What the provider says of money that we send: a refund, a payout, or a new account."""

    state: EffectState
    provider_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A payment that the buyer's bank has taken back. `open`: the bank decides; `won`: we have the
    money again; `lost`: the buyer keeps it. A bank's mere question is none: no money has moved.
    """

    id: str
    status: Literal["open", "won", "lost"]
    amount: Money
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A seller's account at the provider. `missing` is what it still wants to know, by its words;
    `why_not` says in its words why it may not be paid.
    """

    ready: bool
    missing: tuple[str, ...] = ()
    why_not: str = ""


NOT_CONFIRMED = "not_confirmed"
"""The reason of an unknown charge that no confirmation has reached so far."""

NOT_FOUND = Effect("unknown", None, "not_found")
"""Asked, and so far there is none: sending again under the same key is safe."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A hint that something happened; what did is found out by asking. Missing ids are empty."""

    id: str
    kind: str
    intent_id: str = ""
    sale_id: str = ""
    account_id: str = ""
    created: int = 0


class Payments(Protocol):
    """All amounts are in minor units of `amount.currency`; `key` is the caller's, kept for ever."""

    name: str

    def charge(
        self,
        *,
        key: str,
        amount: Money,
        method: str,
        sale_id: str,
        description: str,
        intent_id: str | None = None,
        return_url: str = "",
    ) -> Charge: ...

    def ask(
        self, *, key: str, amount: Money, sale_id: str, intent_id: str | None = None
    ) -> Charge: ...

    def cancel(self, *, key: str, intent_id: str) -> Charge: ...

    def check_out(self, *, visit: Visit, checkout_id: str = "") -> Checkout: ...

    def end_checkout(self, *, visit: Visit, checkout_id: str) -> Checkout: ...

    def capture(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Charge: ...

    def refund(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Effect: ...

    def ask_refund(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Effect: ...

    def pay_out(self, *, key: str, account: str, amount: Money, sale_id: str) -> Effect: ...

    def ask_pay_out(self, *, key: str, account: str, amount: Money, sale_id: str) -> Effect: ...

    def chargebacks(self, *, intent_id: str) -> tuple[Chargeback, ...] | None: ...

    def lines(self, *, since: int, until: int) -> tuple[Line, ...] | None: ...

    def connect(self, *, key: str, mail: str) -> str: ...

    def account(self, account: str) -> Account: ...

    def account_link(self, *, account: str, return_url: str, refresh_url: str) -> str: ...

    def refused_key(self) -> str: ...

    def refused_checkout(self) -> str: ...

    def read_webhook(self, *, payload: bytes, signature: str, now: float) -> Webhook: ...


def webhook(body: dict[str, object]) -> Webhook:
    """Read a Stripe event object; one without id and type is `malformed`."""
    kind, identity = body.get("type"), body.get("id")
    data = body.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(kind, str) or not isinstance(identity, str) or not isinstance(about, dict):
        raise Malformed("the delivery is not an event")
    metadata = about.get("metadata")
    created = body.get("created")
    noun = about.get("object")
    return Webhook(
        id=identity,
        kind=kind,
        intent_id=_id_of("payment_intent", noun, about),
        sale_id=_text(metadata.get("sale_id")) if isinstance(metadata, dict) else "",
        account_id=_id_of("account", noun, about) or _text(body.get("account")),
        created=created if isinstance(created, int) else 0,
    )


def _id_of(name: str, noun: object, about: dict[str, object]) -> str:
    return _text(about.get("id") if noun == name else about.get(name))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
