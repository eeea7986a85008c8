"""A sale's flows: agree, pay, record what the provider said, deliver, settle or refund.

Every mechanism ends in `agree`; from there on all sales are the same. docs/concepts/sale.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from onym import ports
from onym.core import bank, fees, guidelines, handle, ledger, people, tax, wallet
from onym.core import sale as core
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, InProgress, NotFound, OwnHandle
from onym.core.events import Event, amount, instant, published
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import appraisal, area, names, outgoing, record, recovery, screening
from onym.flows import ledger as books
from onym.flows import share as displaced
from onym.flows import term as terms
from onym.store import clock, ids, rowlocks
from onym.store.desk import document
from onym.store.models import Handle, Member, Namespace, Payment, Sale

TERMS = ("gross", "commission", "proceeds", "fee", "tax", "share")
ASKED = (core.PaymentState.PENDING, core.PaymentState.UNKNOWN, core.PaymentState.ACTION)
"""A payment whose outcome is open: it is asked about until it is known."""
OPEN_CHARGE = (*ASKED, core.PaymentState.PAID)


def agree(
    *,
    row: Handle,
    kind: core.Kind,
    mechanism: str,
    by: str,
    buyer: Member,
    seller: Member,
    price: Money,
    now: datetime,
    private: bool = False,
    instead_of: str | None = None,
    term: Term = Term.HANDLE,
    consented_at: datetime | None = None,
) -> Sale:
    """Fix buyer, seller and price of a handle whose row the caller has locked, and theirs.

    Takes the sale slot (from `instead_of`, the listing that makes way) and waits for the money.
    Refuses `area_stopped`, `already_closed` where a party was forgotten, `handle_locked` while the
    seller may not sell, `staff_may_not`, `own_handle`, `sale_slot_taken`, `currency_mismatch`,
    `amount_too_small`, `country_needed`, `amount_too_large`, what flows/term refuses,
    and `name_needed`, `screening_held` and `screening_stale`: whoever agrees has asked for these
    before, outside this transaction, so that a case stays written.
    """
    place = row.namespace
    area.expect(Area.SALES, namespace=place.id)
    price = price.expect(place.currency)
    _expect_parties(kind=kind, buyer=buyer.snapshot(), seller=seller.snapshot(), row=row, now=now)
    handle.expect_unlocked(row.snapshot())
    terms.expect_sellable(row, term=term, seller=seller)
    account = terms.buying_account(row, term=term, buyer=buyer, consents=bool(consented_at))
    rules, schedule = guidelines_of(place.id, now), schedule_of(place.id, now)
    for party in (buyer, seller):
        screening.expect_within(party, price, what="price")
        screening.expect_clear(party)
    kind_: fees.Kind = "trade" if kind is core.Kind.TRADE else "primary"
    split, told = fees.whole(
        price=price,
        schedule=schedule,
        kind=kind_,
        due=_tax_on(buyer, kind=kind_, now=now),
        displaces=term is Term.HANDLE and _displaces(row, kind=kind, seller=seller),
    )
    id_ = ids.new("sal")
    names.fill_slot(row, kind="sale", ref=id_, instead_of=instead_of, now=now)
    sale = Sale.objects.create(
        id=id_,
        namespace=place,
        handle=row,
        kind=kind,
        mechanism=mechanism,
        by=by,
        buyer=buyer,
        seller=seller,
        buyer_account_id=account,
        seller_account_id=row.account_id,
        currency=price.currency,
        price_minor=price.minor,
        **{f"{name}_minor": getattr(split, name).minor for name in TERMS},
        versions={"fees": schedule.key, "guidelines": rules.ref} | _policy(place, now) | _tax(told),
        tax_facts=told.facts,
        state=core.State.FUNDING,
        private=private,
        term=term,
        consented_at=consented_at,
        agreed_at=now,
        funding_until=now + rules.periods["payment_hours"],
    )
    record.log(_agreed(sale), namespace=place.id, at=now)
    tell(sale, "sale_agreed", now=now, until_at=instant(sale.funding_until))
    return sale


def _tax_on(buyer: Member, *, kind: str, now: datetime) -> Callable[[Money, Money], tax.Due]:
    """What the buyer's country wants on top; the house owes itself none."""
    table = document(namespace=buyer.namespace_id, kind="tax", at=now)

    def due(paid: Money, service: Money) -> tax.Due:
        found = ports.tax(buyer.namespace_id).due(
            table=table.text if table and not buyer.is_house else None,
            country=buyer.country,
            kind=kind,
            paid=paid,
            service=service,
        )
        if table is None or not found.facts:
            return found
        return tax.Due(found.amount, {**found.facts, "table": f"{table.name}/{table.version}"})

    return due


def _tax(told: tax.Due) -> dict[str, str]:
    return {"tax": told.facts["table"]} if "table" in told.facts else {}


def expect_country(buyer: Member, *, now: datetime) -> None:
    """Refuses `country_needed` to a buyer whose taxes cannot be told."""
    table = document(namespace=buyer.namespace_id, kind="tax", at=now)
    if table is not None and not buyer.is_house:
        tax.parse(table.text).rate(country=buyer.country, kind="trade")


def _displaces(row: Handle, *, kind: core.Kind, seller: Member) -> bool:
    """Whether the platform takes the handle from an account that will have another one."""
    return kind is core.Kind.PRIMARY and seller.is_house and row.account_id is not None


def _expect_parties(
    *, kind: core.Kind, buyer: people.Member, seller: people.Member, row: Handle, now: datetime
) -> None:
    people.expect_known(buyer, seller)
    people.expect_settled_security(seller, now=now, is_told=False)
    if kind is core.Kind.HOUSE:
        return
    people.buying_account(buyer)
    if people.is_kin(buyer, seller) or row.account_id in buyer.accounts:
        raise OwnHandle("nobody buys from themselves")


def schedule_of(namespace: str, now: datetime) -> fees.Schedule:
    """The fee schedule in force."""
    row = document(namespace=namespace, kind="fees", at=now)
    place = Namespace.objects.get(pk=namespace)
    if row is None:
        raise NotFound("no fee schedule is in force")
    return fees.Schedule.from_toml(row.text, currency=place.currency)


def guidelines_of(namespace: str, now: datetime) -> guidelines.Guidelines:
    """The guidelines in force."""
    row = document(namespace=namespace, kind="guidelines", at=now)
    if row is None:
        raise NotFound("no guidelines are in force")
    return guidelines.parse(row.text)


def pinned(sale: Sale) -> guidelines.Guidelines:
    """The guidelines that the sale was agreed under."""
    name, version = sale.versions["guidelines"].rsplit("/", 1)
    row = sale.namespace.document_set.get(kind="guidelines", name=name, version=int(version))
    return guidelines.parse(row.text)


def _policy(place: Namespace, now: datetime) -> dict[str, str]:
    """The policy in force, if the namespace has published one."""
    row = document(namespace=place.id, kind="policy", at=now)
    return {"policy": f"{row.name}/{row.version}"} if row else {}


def _agreed(sale: Sale) -> Event:
    body: dict[str, Any] = {
        "sale": sale.id,
        "handle": sale.handle.handle,
        "mechanism": sale.mechanism,
        "by": sale.by,
        "buyer": sale.buyer_id,
        "seller": sale.seller_id,
        "versions": sale.versions,
    }
    if sale.term == Term.ACCOUNT:
        body |= {"term": sale.term, "consent": True}
    figures = {name: amount(sale.money(name)) for name in ("price", *TERMS)}
    if sale.private:
        return Event("SaleAgreed", sale.id, body, figures)
    return Event("SaleAgreed", sale.id, body | figures)


def payment_row(
    sale: Sale,
    *,
    kind: str,
    now: datetime,
    method: str = "",
    minor: int = 0,
    checkout_until: datetime | None = None,
) -> Payment:
    """One attempt to move the gross, or `minor` of it."""
    return Payment.objects.create(
        id=ids.new("pay"),
        sale=sale,
        kind=kind,
        method=method,
        checkout_until=checkout_until,
        amount_minor=minor or sale.gross_minor,
        currency=sale.currency,
        made_at=now,
    )


def with_amount(type_: str, sale: Sale, field: str, **body: str) -> Event:
    """One fact about the gross, hidden where the sale is private and has not settled."""
    value = {field: amount(sale.money("gross"))}
    facts = {"sale": sale.id, "handle": sale.handle.handle, **body}
    if sale.private and "appeal" not in body:
        return Event(type_, sale.id, facts, value)
    return Event(type_, sale.id, facts | value)


def accept(*, sale_id: str, by: str) -> Sale:
    """The buyer ends the inspection early. Refuses `not_allowed`, `already_closed`."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        settle(sale, core.accept(sale.snapshot(), by=by), now=now)
        return sale


def is_of_the_house(sale: Sale) -> bool:
    """Whether the proceeds are the operator's own."""
    return sale.kind != core.Kind.TRADE and sale.seller.is_house


def entry_of(sale: Sale) -> ledger.Entry:
    """How the sale's escrow is shared out."""
    return ledger.settled(
        sale=sale.id,
        gross=sale.money("gross"),
        parts={name: sale.money(name).minor for name in TERMS if name != "gross"},
        seller=sale.seller_id,
        seller_is_house=is_of_the_house(sale),
    )


def settle(sale: Sale, decided: core.Sale, *, now: datetime) -> None:
    rules = pinned(sale)
    own = [sale] if is_of_the_house(sale) else []
    entries = [entry_of(sale), *recovery.from_revenue(own, now=now)]
    books.book_all(entries, namespace=sale.namespace_id, at=now)
    displaced.keep([sale], rules=rules, now=now)
    if not own:
        delay = rules.withdrawal_delay(sale.money("price"))
        books.owe(sale, due_at=now if books.into_wallets([sale]) else now + delay)
    row = sale.handle
    row.locked_by = handle.unlock(row.snapshot(), sale=sale.id).locked_by
    row.cool_off_until = now + rules.periods["cool_off_days"]
    row.save(update_fields=["locked_by", "cool_off_until"])
    finish(sale, decided, why="", now=now)
    record.log(settled_event(sale), namespace=sale.namespace_id, at=now)
    tell(sale, "sale_settled", now=now)


def settled_event(sale: Sale) -> Event:
    """The settlement in clear; what a private sale committed is opened with it."""
    body = {
        "sale": sale.id,
        "handle": sale.handle.handle,
        "versions": sale.versions,
        "by": sale.by,
        "buyer": sale.buyer_id,
        "seller": sale.seller_id,
    }
    body |= {"term": sale.term} if sale.term == Term.ACCOUNT else {}
    body |= {name: amount(sale.money(name)) for name in ("price", *TERMS)}
    if sale.private:
        opening = record.opening("SaleAgreed", sale.id, "price")
        body["opens"] = [published("SaleAgreed", sale.id, "price", opening)]
        if sale.mechanism == "invitation":
            body["opens"] += appraisal.opened(sale.by)
    return Event("SaleSettled", sale.id, body)


def inspected(*, sale_id: str) -> None:
    """The inspection has passed: settle. Early or repeated calls do nothing."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        is_over = sale.state == core.State.INSPECTION and now >= (sale.inspection_until or now)
        if is_over and not sale.frozen:
            settle(sale, core.inspect(sale.snapshot(), now=now), now=now)


def dispute(*, sale_id: str, by: str) -> Sale:
    """The buyer objects within the inspection; money and handle stay where they are."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        write(sale, core.dispute(sale.snapshot(), by=by, now=now))
        sale.handle.dispute_open = True
        sale.handle.save(update_fields=["dispute_open"])
        tell(sale, "sale_disputed", now=now)
        return sale


def cancel(*, sale_id: str, by: str) -> Sale:
    """Ended by a party. Refuses `in_progress` while a charge is under way, and `not_allowed` where
    a look while it cooled off (flows/transfer) has shown the handle with the buyer.
    """
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        decided = core.cancel(sale.snapshot(), by=by)
        if decided.state is core.State.REFUNDING:
            seen = sale.read_back_account_id if sale.read_back_at else sale.handle.account_id
            give_up(sale, holder=seen, why="cancelled", now=now)
            return sale
        if sale.payment_set.filter(kind="charge", state__in=OPEN_CHARGE).exists():
            raise InProgress("a payment of this sale is under way")
        close(sale, decided, why="cancelled", now=now)
        return sale


def yield_to_holder(*, row: Handle, now: datetime) -> None:
    """A holder came back: a sale of the locked handle that is not funded yet ends.

    Money that arrives afterwards goes back. Refuses `handle_locked` once it is in escrow.
    """
    sale = Sale.objects.filter(handle=row, state__in=core.LIVE).first()
    if sale is None:
        return
    sale.handle = row
    if not core.yields_to_holder(sale.snapshot()):
        handle.expect_unlocked(row.snapshot())
        raise AlreadyClosed("the money is in escrow")
    decided = core.move(sale.snapshot(), core.State.CANCELLED)
    close(sale, decided, why="holder_returned", now=now)


def give_up(sale: Sale, *, holder: str | None, why: str, now: datetime) -> None:
    """The money goes back; the handle stays with whoever holds it."""
    sale.why = why
    seen = terms.with_whom(sale, holder=holder)
    write(sale, core.give_up(sale.snapshot(), holder=seen))
    sale.handle.locked_by = None
    sale.handle.save(update_fields=["locked_by"])
    order_refund(sale, now=now)


def order_refund(sale: Sale, *, now: datetime) -> None:
    """Give the money back, unless the buyer's bank has taken it: then its word is followed."""
    if sale.chargeback_set.exclude(status="won").exists():
        record.defer("chargeback.follow", lock=f"{sale.id}:chargeback", sale_id=sale.id)
        return
    paid = sale.payment_set.filter(kind="charge", state="paid")
    if paid.filter(method=wallet.METHOD).exists():
        payment = payment_row(sale, kind="refund", method=wallet.METHOD, now=now)
        record.defer("wallet.refund", lock=payment.id, payment_id=payment.id)
        return
    payment = payment_row(sale, kind="refund", now=now)
    if paid.filter(method=bank.METHOD).exists():
        outgoing.refund(sale, payment, now=now)
        return
    record.defer("sale.refund", lock=payment.id, payment_id=payment.id)


def refund_rest(sale: Sale, *, minor: int, now: datetime) -> None:
    """Give back what the buyer's bank has left of the payment."""
    payment = payment_row(sale, kind="refund", minor=minor, now=now)
    record.defer("sale.refund", lock=payment.id, payment_id=payment.id)


def close(sale: Sale, decided: core.Sale, *, why: str, now: datetime) -> None:
    finish(sale, decided, why=why, now=now)
    body = {"sale": sale.id, "handle": sale.handle.handle, "outcome": sale.state, "reason": why}
    record.log(Event("SaleClosed", sale.id, body), namespace=sale.namespace_id, at=now)
    tell(sale, "sale_closed", now=now)


def finish(sale: Sale, decided: core.Sale, *, why: str, now: datetime) -> None:
    sale.closed_at, sale.why = now, why
    write(sale, decided)
    names.free_slot(sale.handle, ref=sale.id)


def write(sale: Sale, decided: core.Sale) -> None:
    """The one place that writes what core decided."""
    sale.state = decided.state
    sale.cooling_until = decided.cooling_until
    sale.delivery_until = decided.delivery_until
    sale.inspection_until = decided.inspection_until
    sale.read_back_account_id = decided.read_back_account_id
    sale.save()


def tell_before(sale: Sale, kind: str, *, now: datetime) -> None:
    """The seller's addresses that were replaced within thirty days: who took an account over has
    changed its address first."""
    rows = sale.seller.mailaddress_set.filter(replaced_at__gt=now - people.SECURITY_DELAY)
    for row in rows:
        record.notify(
            namespace=sale.namespace_id,
            kind=kind,
            about=sale.id,
            address=row.address,
            language=sale.seller.language,
            now=now,
            facts={"sale": sale.id, "handle": sale.handle.display, "term": sale.term},
        )


def tell_account(sale: Sale, kind: str, *, now: datetime) -> None:
    """The seller's account on the platform, where they have never signed in here: who answers by a
    letter's link alone may have read a letter that was another's."""
    if sale.seller.user_id is None and sale.seller_account_id and not sale.seller.is_house:
        record.notify(
            namespace=sale.namespace_id,
            kind=kind,
            about=sale.id,
            account_id=sale.seller_account_id,
            language=sale.seller.language,
            now=now,
            facts={"sale": sale.id, "handle": sale.handle.display, "term": sale.term},
        )


def tell(sale: Sale, kind: str, *, now: datetime, **facts: str) -> None:
    for member in (sale.buyer, sale.seller):
        if not member.is_house:
            record.notify(
                namespace=sale.namespace_id,
                kind=kind,
                about=sale.id,
                member=member.id,
                now=now,
                facts=facts | {"sale": sale.id, "handle": sale.handle.display, "term": sale.term},
            )
