"""Bank transfers: how a buyer is told to pay, and what becomes of money that came in.

It lies in suspense until it funds a sale, is put into a wallet, goes back, or a person of the desk
decides. What comes in is read by flows/statement. See docs/guides/bank-transfer.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from onym import ports
from onym.core import access, ledger
from onym.core import bank as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, InProgress, Malformed, NotFound
from onym.core.events import amount
from onym.core.money import Money
from onym.flows import area, deposit, outgoing, payments, record, screening, staff
from onym.flows import ledger as books
from onym.flows import sale as sale_flow
from onym.store import clock, rowlocks
from onym.store.models import (
    Approval,
    BankDraw,
    BankLine,
    BankReference,
    Member,
    Sale,
    WalletReference,
)


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


def allot(row: BankLine, sale: Sale, *, now: datetime) -> None:
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
    """While sales are stopped the time to pay is not over: the lift gives it back."""
    if not sales.yields_to_holder(sale.snapshot()):
        return False
    return now < sale.funding_until or area.is_stopped(Area.SALES, namespace=sale.namespace_id)


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

    While a card's outcome is open, or a stop holds the time to pay, it stays as it is, and is
    looked at again.
    """
    if sale.state != sales.State.FUNDING or now >= sale.funding_until or _is_charged(sale):
        return
    rows = _waiting(sale)
    for row, part in zip(
        rows, core.draw(sale.gross_minor, [r.rest_minor for r in rows]), strict=True
    ):
        row.rest_minor, row.waits = row.rest_minor - part, False
        row.save(update_fields=["rest_minor", "waits"])
        if part:
            BankDraw.objects.create(line=row, sale=sale, minor=part)
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
        elif sum(row.rest_minor for row in rows) >= sale.gross_minor:
            _fund(sale, now=now)


def decide(*, line_id: str, by: str, reference: str = "") -> BankLine | Approval:
    """A person says what money in suspense is: of the sale or the wallet with this reference, else
    it goes back.

    From the guidelines' threshold on a second person must approve. Refuses `not_allowed`,
    `not_found`, `already_closed` when nothing of it is left or the sale waits for no money, and
    whatever keeps it out of the wallet.
    """
    _look_first(line_id, by=by, reference=reference)
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


def _look_first(line_id: str, *, by: str, reference: str) -> None:
    namespace = _namespace_of(line_id)
    staff.expect(by, access.Action.BANK, namespace=namespace)
    found = core.find_reference(reference) or ""
    into = WalletReference.objects.filter(reference=found, member__namespace=namespace).first()
    if into is not None:
        _look_at_payer(line_id, into.member_id)


def look_at_proposed(approval: Approval) -> None:
    """The same before the second person's transaction. Refuses `screening_stale`."""
    told = approval.payload
    if told.get("wallet"):
        _look_at_payer(str(told["line"]), str(told["wallet"]))


def _look_at_payer(line_id: str, member: str) -> None:
    """Outside the transaction of what may be refused: a case that is opened must outlive it."""
    line = BankLine.objects.get(pk=line_id)
    if line.rest_minor and not line.waits:
        screening.look(Member.objects.get(pk=member), also=line.opened("name"))


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
    allot(line, sale, now=now)
