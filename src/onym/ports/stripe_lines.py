"""Stripe's objects read as ours: chargebacks, accounts, and the list that the books are held to.

docs/guides/payments.md says which fields decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from onym.core.money import Money
from onym.core.reconcile import AUTHORISED, Line
from onym.ports.payments import Account, Chargeback

if TYPE_CHECKING:
    import stripe

STATUS: dict[str, Literal["open", "won", "lost"]] = {
    "needs_response": "open",
    "under_review": "open",
    "won": "won",
    "lost": "lost",
}
"""Disputes that have moved money. `warning_…` are questions of the bank, and move none."""


def chargebacks(found: Iterable[stripe.Dispute]) -> tuple[Chargeback, ...]:
    """Those that have moved money, the oldest first."""
    known = [one for one in found if one.status in STATUS]
    known.sort(key=lambda one: (one.created, one.id))
    return tuple(
        Chargeback(one.id, STATUS[one.status], _money(one), str(one.reason or "")) for one in known
    )


def account(found: stripe.Account) -> Account:
    """Ready is one that may receive transfers and pays out to its bank."""
    active = getattr(found.capabilities, "transfers", "") == "active"
    wants = getattr(found, "requirements", None)
    return Account(
        ready=bool(active and found.payouts_enabled),
        missing=tuple(str(one)[:120] for one in getattr(wants, "currently_due", None) or ()),
        why_not=str(getattr(wants, "disabled_reason", None) or "")[:80],
    )


LAPSES = 9 * 86_400
"""A bank's word for a card is kept for seven days; what is older was let go by itself."""


def read(client: Any, *, since: int, until: int) -> tuple[Line, ...]:
    """Captured charges, refunds that left, transfers and chargebacks made in [since, until), and
    what was agreed to in it that is neither captured nor released.
    """
    asked = {"created": {"gte": since, "lt": until}, "limit": 100}
    lately = {"created": {"gte": max(since, until - LAPSES), "lt": until}, "limit": 100}
    whose = {"expand": ["data.payment_intent"]}
    found = [
        *_charges(client.charges.list(asked).auto_paging_iter()),
        *_refunds(client.refunds.list(asked).auto_paging_iter()),
        *_transfers(client.transfers.list(asked).auto_paging_iter()),
        *_disputes(client.disputes.list(asked | whose).auto_paging_iter()),
        *_authorised(client.payment_intents.list(lately).auto_paging_iter()),
    ]
    return tuple(sorted(found, key=lambda line: (line.day, line.kind, line.id)))


def _charges(rows: Iterable[Any]) -> Iterator[Line]:
    for one in rows:
        if one.status == "succeeded" and one.amount_captured:
            captured = Money(one.amount_captured, one.currency.upper())
            yield _line("charge", _id(one.payment_intent) or one.id, captured, one)


def _refunds(rows: Iterable[Any]) -> Iterator[Line]:
    for one in rows:
        if one.status not in ("failed", "canceled"):
            yield _line("refund", one.id, _money(one), one)


def _transfers(rows: Iterable[Any]) -> Iterator[Line]:
    for one in rows:
        yield _line("transfer", one.id, _money(one), one)


def _disputes(rows: Iterable[Any]) -> Iterator[Line]:
    """A dispute carries no note of ours; its payment says whose it is."""
    for one in rows:
        if one.status in STATUS:
            yield _line("dispute", one.id, _money(one), one, noted=one.payment_intent)
        if one.status == "won":
            yield _line("reinstated", one.id, _money(one), one, noted=one.payment_intent)


def _authorised(rows: Iterable[Any]) -> Iterator[Line]:
    for one in rows:
        if one.status == "requires_capture":
            yield _line(AUTHORISED, one.id, _money(one), one)


def _line(kind: str, identity: str, amount: Money, found: Any, *, noted: Any = None) -> Line:
    """`noted` is the object whose note names the sale, if that is another one."""
    notes = getattr(noted or found, "metadata", None)
    sale = str(notes["sale_id"]) if notes is not None and "sale_id" in notes else ""
    day = datetime.fromtimestamp(found.created, UTC).date().isoformat()
    return Line(kind, identity, amount, sale, day)


def _money(found: Any) -> Money:
    return Money(found.amount, found.currency.upper())


def _id(found: object) -> str:
    return found if isinstance(found, str) else str(getattr(found, "id", "") or "")
