"""Bank transfers: how a buyer is told to pay, and what a statement of the bank makes of it.

A statement is taken whole or not at all. Money that came in lies in suspense until it funds a
sale, goes back, or a person of the desk decides. See docs/guides/bank-transfer.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

from django.db import transaction

from onym import ports
from onym.core import access, ledger
from onym.core import bank as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import (
    AlreadyClosed,
    InProgress,
    Malformed,
    NotFound,
    Refusal,
    StatementKnown,
)
from onym.core.events import amount
from onym.core.money import Money
from onym.flows import area, deposit, outgoing, payments, record, staff
from onym.flows import ledger as books
from onym.flows import sale as sale_flow
from onym.ports.bank import read_statement
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    Approval,
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    Namespace,
    Sale,
    WalletReference,
)

PIECE = 1 << 20


def begin(*, sale_id: str, by: str) -> BankReference:
    """The buyer will pay by transfer: the sale gets its reference, and the time that takes.

    Refuses what a payment refuses, and `malformed` where no bank account is set up.
    """
    payments.expect_may_pay(sale_id=sale_id, by=by, method=core.METHOD)
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        area.expect(Area.SALES, namespace=sale.namespace_id)
        if ports.bank(sale.namespace_id) is None:
            raise Malformed("this market takes no bank transfers")
        sales.pay(sale.snapshot(), by=by, now=now)
        if _is_charged(sale):
            raise InProgress("a payment of this sale is under way")
        row, is_new = BankReference.objects.get_or_create(
            sale=sale, defaults={"reference": core.reference(sale.id), "made_at": now}
        )
        longer = sale_flow.pinned(sale).periods.get("bank_transfer_hours")
        if is_new and longer:
            sale.funding_until = max(sale.funding_until, sale.agreed_at + longer)
            sale.save(update_fields=["funding_until"])
        return row


def import_statement(*, namespace: str, file: BinaryIO, by: str | None) -> BankStatement:
    """Read a camt.053 file and book all of it, in one transaction. `by` None: from the shell.

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
        named, wallets = _sales_named(namespace, read.lines), _wallets_named(namespace, read.lines)
        locked = {sale.id: sale for sale in rowlocks.sales(sorted(set(named.values())))}
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
        came = [line for line in read.lines if line.minor > 0]
        _left([line for line in read.lines if line.minor < 0], statement, now=now)
        ours = _sent_by_us(namespace, came)
        for row, line in zip(_arrived(came, statement, now=now), came, strict=True):
            if line.end_to_end in ours:
                _came_back(row, ours[line.end_to_end])
            elif line.ref in named:
                _allot(row, locked[named[line.ref]], now=now)
            elif line.ref in wallets:
                _put_in(row, wallets[line.ref], now=now)
        return statement


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
    found = {line.ref: core.find_reference(line.text) for line in lines if line.minor > 0}
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
    bank = books.bank_name(statement.namespace_id)
    entries = [
        ledger.received(arrival=row.id, amount=row.amount, bank=bank, ref=row.ref) for row in made
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


def _left(gone: Sequence[core.Line], statement: BankStatement, *, now: datetime) -> None:
    """What left the account: our own orders are done; what we did not order is set against
    suspense, where a person sees it."""
    orders = BankOrder.objects.filter(namespace_id=statement.namespace_id, state="filed")
    known = {order.end_to_end: order for order in orders.select_related("line")} if gone else {}
    for line in gone:
        row = _row(line, statement, rest=0, now=now)
        order = known.get(line.end_to_end)
        if order is not None and order.minor == -line.minor:
            del known[line.end_to_end]
            _sent(order, line, now=now)
        else:
            row.outcome = "taken"
            bank = books.bank_name(statement.namespace_id)
            entry = ledger.taken(arrival=row.id, amount=row.amount, bank=bank, ref=line.ref)
            books.book(entry, namespace=statement.namespace_id, at=now)
        row.save(force_insert=True)


def _sent_by_us(namespace: str, came: Sequence[core.Line]) -> dict[str, BankOrder]:
    """Payouts that had left and that these arrivals bring back, whole, by our own name of them."""
    named = {line.end_to_end: line.minor for line in came if line.end_to_end}
    done = BankOrder.objects.filter(namespace_id=namespace, kind="payout", state="done")
    wanted = [name[:3] + "_" + name[3:] for name in named]
    found = {order.end_to_end: order for order in done.filter(pk__in=wanted)}
    return {name: order for name, order in found.items() if order.minor == named[name]}


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
        payments.record_refund(
            payment_id=str(order.payment_id),
            state=sales.PaymentState.DONE,
            provider=bank,
            provider_id=line.ref,
        )
    else:
        entry = ledger.returned(order=order.id, amount=order.amount, bank=bank, ref=line.ref)
        books.book(entry, namespace=order.namespace_id, at=now)


def _allot(row: BankLine, sale: Sale, *, now: datetime) -> None:
    """An arrival that names a sale: it funds it, waits for the rest, or goes back."""
    waiting = _waiting(sale)
    before = sum(one.rest_minor for one in waiting)
    row.sale = sale
    row.outcome = core.match(
        gross=sale.money("gross"),
        waits=_waits(sale, now),
        before_minor=before,
        minor=row.rest_minor,
    )
    row.waits = row.outcome != core.Arrival.LATE
    row.save(update_fields=["sale", "outcome", "waits"])
    if row.outcome == core.Arrival.LATE:
        outgoing.send_back(row, now=now)
    elif row.outcome == core.Arrival.PARTIAL:
        _say_what_is_missing(row, sale, before + row.rest_minor, now=now)
    else:
        _fund(sale, now=now)


def _waiting(sale: Sale) -> list[BankLine]:
    return list(BankLine.objects.filter(sale=sale, waits=True).order_by("at", "id"))


def _waits(sale: Sale, now: datetime) -> bool:
    return sales.yields_to_holder(sale.snapshot()) and now < sale.funding_until


def _is_charged(sale: Sale) -> bool:
    """Whether another payment of the sale is under way or has come."""
    open_ = sale.payment_set.filter(kind="charge", state__in=sale_flow.OPEN_CHARGE)
    return bool(open_.exists())


def _say_what_is_missing(row: BankLine, sale: Sale, there: int, *, now: datetime) -> None:
    missing = amount(Money(sale.gross_minor - there, sale.currency))
    record.notify(
        namespace=sale.namespace_id,
        kind="transfer_partial",
        about=row.id,
        member=sale.buyer_id,
        now=now,
        facts={"sale": sale.id, "handle": sale.handle.display, "missing": missing},
    )


def _fund(sale: Sale, *, now: datetime) -> None:
    """What waits suffices: the gross is the sale's, a rest stays in suspense.

    While a card's outcome is open it stays as it is, and is looked at again.
    """
    if sale.state != sales.State.FUNDING or _is_charged(sale):
        return
    rows = _waiting(sale)
    for row, part in zip(
        rows, core.draw(sale.gross_minor, [r.rest_minor for r in rows]), strict=True
    ):
        row.rest_minor, row.waits = row.rest_minor - part, False
        row.save(update_fields=["rest_minor", "waits"])
    payment = sale_flow.payment_row(sale, kind="charge", method=core.METHOD, now=now)
    payment.state, payment.answered_at = sales.PaymentState.PAID, now
    payment.provider_id = core.reference(sale.id)
    payment.save(update_fields=["state", "answered_at", "provider_id"])
    entry = ledger.funded_from_suspense(sale=sale.id, gross=sale.money("gross"))
    books.book(entry, namespace=sale.namespace_id, at=now)
    payments.funds_booked(sale, now=now)


def look_again(*, sale_id: str) -> None:
    """Money waits for this sale: fund it if that is possible now, send it back if never more."""
    with transaction.atomic():
        namespace = Sale.objects.values_list("namespace_id", flat=True).get(pk=sale_id)
        rowlocks.bank(namespace)
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        rows = _waiting(sale)
        if not sales.yields_to_holder(sale.snapshot()):
            for row in rows:
                row.outcome = core.Arrival.LATE
                row.save(update_fields=["outcome"])
                outgoing.send_back(row, now=now)
        elif _waits(sale, now) and sum(row.rest_minor for row in rows) >= sale.gross_minor:
            _fund(sale, now=now)


def decide(*, line_id: str, by: str, reference: str = "") -> BankLine | Approval:
    """A person says what money in suspense is: of the sale or the wallet with this reference, else
    it goes back.

    From the guidelines' threshold on a second person must approve. Refuses `not_allowed`,
    `not_found`, `already_closed` when nothing of it is left or the sale waits for no money, and
    whatever keeps it out of the wallet.
    """
    with transaction.atomic():
        namespace = _namespace_of(line_id)
        rowlocks.bank(namespace)
        wanted = _wanted(namespace, reference)
        line = rowlocks.bank_line(line_id)
        now = clock.now()
        staff.expect(by, access.Action.BANK, namespace=namespace)
        _expect_rest(line)
        if not sale_flow.guidelines_of(namespace, now).needs_two(line.rest):
            return _carry_out(line, wanted, by=by, now=now)
        sale = wanted.id if isinstance(wanted, Sale) else ""
        into = wanted.member_id if isinstance(wanted, WalletReference) else ""
        told = {"line": line.id, "sale": sale, "wallet": into, "rest": amount(line.rest)}
        return record.propose(
            namespace=namespace,
            action="bank_money",
            payload=told,
            facts=_facts(line),
            by=by,
            now=now,
        )


def decide_approved(approval: Approval, now: datetime) -> BankLine:
    """The second person has approved."""
    wanted, line = _proposed(approval)
    _expect_rest(line)
    return _carry_out(line, wanted, by=approval.proposed_by_id, now=now)


def _proposed(approval: Approval) -> tuple[Sale | WalletReference | None, BankLine]:
    rowlocks.bank(approval.namespace_id)
    told = approval.payload
    into = WalletReference.objects.filter(member=str(told.get("wallet", ""))).first()
    wanted = rowlocks.sale(str(told["sale"])) if told["sale"] else into
    return wanted, rowlocks.bank_line(str(told["line"]))


def facts_of(approval: Approval) -> Mapping[str, str]:
    """What both people see of it: how it came, what is left, and that it waits for nothing."""
    return _facts(_proposed(approval)[1])


def _facts(line: BankLine) -> Mapping[str, str]:
    return {"outcome": line.outcome, "rest": str(line.rest_minor), "waits": str(line.waits)}


def _namespace_of(line_id: str) -> str:
    found = BankLine.objects.filter(pk=line_id).values_list("namespace_id", flat=True).first()
    if found is None:
        raise NotFound("no such movement")
    return str(found)


def _wanted(namespace: str, reference: str) -> Sale | WalletReference | None:
    """The sale of a reference, locked, or whose wallet's it is; None: it is to go back."""
    if not reference:
        return None
    found = core.find_reference(reference) or ""
    row = BankReference.objects.filter(reference=found, sale__namespace=namespace).first()
    if row is not None:
        return rowlocks.sale(row.sale_id)
    into = WalletReference.objects.filter(reference=found, member__namespace=namespace).first()
    if into is None:
        raise NotFound("no sale and no wallet has this reference")
    return into


def _expect_rest(line: BankLine) -> None:
    if not line.rest_minor or line.waits:
        raise AlreadyClosed("nothing of it is in suspense")


def _carry_out(
    line: BankLine, wanted: Sale | WalletReference | None, *, by: str, now: datetime
) -> BankLine:
    line.decided_by_id = by
    line.save(update_fields=["decided_by"])
    if wanted is None:
        outgoing.send_back(line, now=now)
    elif isinstance(wanted, WalletReference):
        deposit.put_in(line, member=wanted.member_id, now=now)
    else:
        _assign(line, wanted, now=now)
    return line


def _assign(line: BankLine, sale: Sale, *, now: datetime) -> None:
    if not _waits(sale, now):
        raise AlreadyClosed(f"the sale is {sale.state}", state=sale.state)
    _allot(line, sale, now=now)
