"""Statements of the bank: taken whole or not at all, each once, and all that they name is locked
before the first line is booked. See docs/guides/bank-transfer.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from django.db import transaction

from onym import ports
from onym.core import access, ledger
from onym.core import bank as core
from onym.core import sale as sales
from onym.core.errors import NotFound, Refusal, StatementKnown
from onym.flows import bank, deposit, payments, staff
from onym.flows import ledger as books
from onym.ports.bank import read_statement
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    BookAccount,
    Namespace,
    Payment,
    Sale,
    WalletReference,
)

PIECE = 1 << 20


def book(*, namespace: str, file: BinaryIO, by: str | None) -> BankStatement:
    """Read a camt.053 file and book all of it, in one transaction. `by` None: from the shell.

    All that its lines name is locked before the first of them is booked.

    Refuses `not_allowed`, `malformed`, `account_mismatch`, `currency_mismatch`,
    `statement_unbalanced`, `statement_gap`, `statement_known`; then nothing is booked.
    """
    digest = _digest(file)
    read = read_statement(file)
    with transaction.atomic():
        rowlocks.bank(namespace)
        if by is not None:
            staff.expect(by, access.Action.BANK, namespace=namespace)
        _expect_ours(namespace, read)
        _expect_new(namespace, read, digest)
        about = _locked(namespace, read.lines)
        now = clock.now()
        statement = BankStatement.objects.create(
            id=ids.new("bst"),
            namespace_id=namespace,
            number=read.id,
            sha256=digest,
            currency=read.currency,
            opening_minor=read.opening_minor,
            closing_minor=read.closing_minor,
            lines=len(read.lines),
            by_id=by,
            imported_at=now,
        )
        _left([line for line in read.lines if line.minor < 0], statement, about, now=now)
        came = [line for line in read.lines if line.minor > 0]
        for row, line in zip(_arrived(came, statement, now=now), came, strict=True):
            order = about.orders.get(line.end_to_end)
            if order is not None and _is_back(order, line):
                _came_back(row, order)
            elif line.ref in about.sales:
                bank.allot(row, about.sales[line.ref], now=now)
            elif line.ref in about.wallets:
                _put_in(row, about.wallets[line.ref], now=now)
        return statement


@dataclass(frozen=True, slots=True)
class _About:
    """What a statement's lines name: sales and members by the bank's reference of an arrival, and
    what we had sent by our own name of it."""

    sales: Mapping[str, Sale]
    wallets: Mapping[str, str]
    orders: Mapping[str, BankOrder]


def _locked(namespace: str, lines: Sequence[core.Line]) -> _About:
    """All of it, in the order of rowlocks: then no line waits for another flow."""
    named, wallets = _sales_named(namespace, lines), _wallets_named(namespace, lines)
    orders = _sent_by_us(namespace, lines)
    payouts = [order.payout for order in orders.values() if order.payout]
    touched = {payout.sale_id for payout in payouts if payout.sale_id} | {*named.values()}
    touched |= {order.payment.sale_id for order in orders.values() if order.payment}
    locked = {sale.id: sale for sale in rowlocks.sales(sorted(touched))}
    for member in sorted(set(wallets.values())):
        rowlocks.member(member)
    rowlocks.payouts(sorted(payout.id for payout in payouts))
    paid = {*wallets.values(), *(payout.member_id for payout in payouts)}
    owned = BookAccount.objects.filter(namespace_id=namespace, member__in=paid)
    rowlocks.books(owned.values_list("id", flat=True))
    return _About({line: locked[sale] for line, sale in named.items()}, wallets, orders)


def _sent_by_us(namespace: str, lines: Sequence[core.Line]) -> dict[str, BankOrder]:
    """What these lines may say has left, or has come back, by our own name of it."""
    names = {line.end_to_end for line in lines if line.end_to_end}
    sent = (core.OrderState.FILED, core.OrderState.DONE)
    rows = BankOrder.objects.filter(namespace_id=namespace, state__in=sent)
    found = rows.filter(pk__in=[name[:3] + "_" + name[3:] for name in names])
    return {row.end_to_end: row for row in found.select_related("line", "payout", "payment")}


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def _expect_ours(namespace: str, read: core.Statement) -> None:
    account, place = ports.bank(namespace), Namespace.objects.get(pk=namespace)
    if account is None:
        raise NotFound("no bank account is set up")
    last = BankStatement.objects.filter(namespace=place).order_by("-imported_at", "-id").first()
    known = BankStatement.objects.filter(namespace=place, number=read.id).exists()
    closing = last.closing_minor if last and not known else None
    core.check(read, iban=account.iban, currency=place.currency, closing_minor=closing)


def _expect_new(namespace: str, read: core.Statement, digest: str) -> None:
    rows = BankStatement.objects.filter(namespace_id=namespace)
    if rows.filter(sha256=digest).exists() or rows.filter(number=read.id).exists():
        raise StatementKnown("this statement was imported before")
    refs = [line.ref for line in read.lines]
    twice = len(set(refs)) < len(refs)
    if twice or BankLine.objects.filter(namespace_id=namespace, ref__in=refs).exists():
        raise StatementKnown("an entry of this statement was imported before")


def _references(lines: Sequence[core.Line]) -> dict[str, str]:
    """What each arrival has written on it, by the bank's reference of the arrival."""
    came = [line for line in lines if line.minor > 0]
    found = {
        line.ref: core.find_reference(line.text) or core.find_reference(line.end_to_end)
        for line in came
    }
    return {line: ref for line, ref in found.items() if ref}


def _sales_named(namespace: str, lines: Sequence[core.Line]) -> dict[str, str]:
    """The sale that each arrival names."""
    found = _references(lines)
    rows = BankReference.objects.filter(reference__in=found.values(), sale__namespace_id=namespace)
    known = dict(rows.values_list("reference", "sale_id"))
    return {line: known[ref] for line, ref in found.items() if ref in known}


def _wallets_named(namespace: str, lines: Sequence[core.Line]) -> dict[str, str]:
    """The member whose wallet each arrival names."""
    found = _references(lines)
    rows = WalletReference.objects.filter(
        reference__in=found.values(), member__namespace_id=namespace
    )
    known = dict(rows.values_list("reference", "member_id"))
    return {line: known[ref] for line, ref in found.items() if ref in known}


def _put_in(row: BankLine, member: str, *, now: datetime) -> None:
    """Into the wallet, if it may go there; else it lies in suspense, and a person decides."""
    try:
        deposit.put_in(row, member=member, now=now)
    except Refusal:
        row.outcome = core.Arrival.NOT_NOW
        row.save(update_fields=["outcome"])


def _arrived(
    came: Sequence[core.Line], statement: BankStatement, *, now: datetime
) -> list[BankLine]:
    """Every arrival as a row and an entry: it lies in suspense until something more is known."""
    rows = [_row(line, statement, rest=line.minor, now=now) for line in came]
    made = BankLine.objects.bulk_create(rows)
    place = books.bank_name(statement.namespace_id)
    entries = [
        ledger.received(arrival=row.id, amount=row.amount, bank=place, ref=row.ref) for row in made
    ]
    if entries:
        books.book_all(entries, namespace=statement.namespace_id, at=now)
    return made


def _row(line: core.Line, statement: BankStatement, *, rest: int, now: datetime) -> BankLine:
    id_ = ids.new("bln")
    told = {"text": line.text, "name": line.name, "iban": line.iban}
    return BankLine(
        id=id_,
        namespace_id=statement.namespace_id,
        statement=statement,
        ref=line.ref,
        minor=line.minor,
        currency=line.currency,
        booked_on=line.booked_on,
        rest_minor=rest,
        outcome=core.Arrival.UNKNOWN if rest else "left",
        at=now,
        **{
            f"{name}_sealed": secrets.seal(text, place=f"bankline.{name}/{id_}")
            for name, text in told.items()
            if text
        },
    )


def _left(
    gone: Sequence[core.Line], statement: BankStatement, about: _About, *, now: datetime
) -> None:
    """What left the account: our own orders are done; what we did not order is set against
    suspense, where a person sees it."""
    for line in gone:
        row = _row(line, statement, rest=0, now=now)
        order = about.orders.get(line.end_to_end)
        if order is not None and _is_sent(order, line):
            _sent(order, line, now=now)
        else:
            row.outcome = "taken"
            place = books.bank_name(statement.namespace_id)
            entry = ledger.taken(arrival=row.id, amount=row.amount, bank=place, ref=line.ref)
            books.book(entry, namespace=statement.namespace_id, at=now)
        row.save(force_insert=True)


def _is_sent(order: BankOrder, line: core.Line) -> bool:
    return order.state == core.OrderState.FILED and order.minor == -line.minor


def _is_back(order: BankOrder, line: core.Line) -> bool:
    """Whether a payout that had left comes back, whole."""
    is_out = order.kind == "payout" and order.state == core.OrderState.DONE
    return is_out and order.minor == line.minor


def _came_back(row: BankLine, order: BankOrder) -> None:
    """The other bank did not take a payout: it is the member's again, and may be sent anew."""
    row.outcome, row.rest_minor = core.Arrival.BACK, 0
    row.save(update_fields=["outcome", "rest_minor"])
    order.state = core.OrderState.RETURNED
    order.save(update_fields=["state"])
    books.bounce(payout_id=str(order.payout_id), line=row)


def _sent(order: BankOrder, line: core.Line, *, now: datetime) -> None:
    """A statement shows that it left: what it was for is done."""
    order.state, order.provider_id, order.done_at = core.OrderState.DONE, line.ref, now
    order.save(update_fields=["state", "provider_id", "done_at"])
    bank = books.bank_name(order.namespace_id)
    if order.kind == "payout":
        books.record_payout(
            payout_id=str(order.payout_id),
            state=sales.PayoutState.DONE,
            provider=bank,
            provider_id=line.ref,
        )
    elif order.kind == "refund":
        _refunded(order, str(order.payment_id), bank=bank, ref=line.ref, now=now)
    else:
        entry = ledger.returned(order=order.id, amount=order.amount, bank=bank, ref=line.ref)
        books.book(entry, namespace=order.namespace_id, at=now)


def _refunded(order: BankOrder, payment: str, *, bank: str, ref: str, now: datetime) -> None:
    """A part of a refund has left; with the last of them the refund is done."""
    parts = BankOrder.objects.filter(payment=payment)
    entry = ledger.refunded(
        sale=Payment.objects.values_list("sale_id", flat=True).get(pk=payment),
        amount=order.amount,
        provider=bank,
        provider_id=ref,
        part=order.id if parts.count() > 1 else "",
    )
    books.book(entry, namespace=order.namespace_id, at=now)
    if not parts.exclude(state=core.OrderState.DONE).exists():
        payments.refund_left(payment_id=payment, provider_id=ref)
