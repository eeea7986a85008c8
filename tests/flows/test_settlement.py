"""Settling and paying out in bulk leaves the books, rows and events that one by one leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from tests import make

from onym.core.sale import PaymentState, PayoutState, State
from onym.core.transfer import State as TransferState
from onym.flows import clock, ledger, listing, payments, sale, settlement, transfer
from onym.queries import audit
from onym.store.clock import now
from onym.store.models import Payout, Sale

SAME = (
    "select e.kind, a.code like 'escrow:%', a.member_id, p.minor from store_posting p join"
    " store_entry e on e.id = p.entry_id join store_bookaccount a on a.id = p.account_id",
    "select state, why, closed_at is null, read_back_account_id is null from store_sale",
    "select state, locked_by, cool_off_until is null, account_id like 'acc-nadia%' from"
    " store_handle",
    "select type, ref like 'sal_%', openings is null from store_event",
    "select member_id, amount_minor, state, due_at is null, reason from store_payout",
    "select kind, channel, address_index, state, language, account_id from store_notice",
    "select task_name, status, (args ->> 'notice_id') is null from procrastinate_jobs",
    "select code like 'escrow:%', member_id, balance_minor from store_bookaccount",
    "select kind from store_saleslot",
)


@pytest.fixture
def place(database: str, settings: Any) -> Any:
    settings.DEMO = True
    return make.namespace()


def in_inspection(place: Any, count: int) -> list[Sale]:
    """Sales of one seller and of the house whose handles were handed over."""
    seller = make.member(place, account="acc-moon", mail="seller@one.example", id="mbr_seller")
    make.member(place, roles="curator", id="mbr_staff")
    made = []
    for number in range(count):
        buyer = make.member(
            place, account=f"acc-nadia{number}", mail=f"b{number}@x.example", id=f"mbr_b{number}"
        )
        is_house = number % 3 == 2
        name = f"moon{number}"
        make.handle(place, name, account_id="acc-moon", state="released" if is_house else "held")
        price = make.usd(100 + number)
        if is_house:
            listed = listing.open_house(
                namespace=place.id, handle=name, by="mbr_staff", price=price
            )
        else:
            listed = listing.open_(namespace=place.id, handle=name, seller=seller.id, price=price)
        made.append(listing.buy(listing_id=listed.id, buyer=buyer.id))
        handed_over(made[-1], to=f"acc-nadia{number}")
    return made


def handed_over(made: Sale, *, to: str) -> None:
    payment = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="x", provider_id=payment.id
    )
    order = made.transfer_set.get()
    transfer.look(transfer_id=order.id, holder="acc-moon", last_seen=None, vacated=None)
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    transfer.record_read_back(transfer_id=order.id, holder=to)


def pass_days(count: int) -> None:
    clock.set_ahead(to=now() + timedelta(days=count))


def one_by_one(sales: list[Sale]) -> None:
    for made in sales:
        sale.inspected(sale_id=made.id)
    pass_days(10)
    for payout in Payout.objects.order_by("id"):
        ledger.record_payout(
            payout_id=payout.id,
            state=PayoutState.DONE,
            provider="x",
            provider_id=f"tr_{payout.sale_id}",
        )


def in_bulk(sales: list[Sale]) -> None:
    assert settlement.inspected_all(sale_ids=[made.id for made in sales]) == len(sales)
    pass_days(10)
    paid = {payout.id: f"tr_{payout.sale_id}" for payout in Payout.objects.all()}
    ledger.record_payouts(paid=paid, provider="x")


def rows() -> list[list[Any]]:
    found = []
    with connection.cursor() as cursor:
        for query in SAME:
            cursor.execute(query)
            found.append(sorted(map(repr, cursor.fetchall())))
    return found


def violated() -> list[str]:
    return [str(c) for c in audit.run() if c.verdict is audit.Verdict.VIOLATED and c.id != "T6"]


def emptied() -> None:
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute("select tablename from pg_tables where tablename like 'store_%'")
        tables = [name for (name,) in cursor.fetchall()] + ["procrastinate_jobs"]
        cursor.execute(f"truncate {', '.join(tables)} cascade")
        cursor.execute("set session_replication_role = origin")


def test_bulk_and_one_by_one_leave_the_same_rows_and_the_same_books(place: Any) -> None:
    left = []
    for settle in (one_by_one, in_bulk):
        if left:
            emptied()
            place = make.namespace()
        sales = in_inspection(place, 5)
        pass_days(10)
        settle(sales)
        assert violated() == []
        left.append(rows())
    assert left[0] == left[1]
    assert any("'paid_out'" in row for row in left[0][0])


def test_early_settled_and_disputed_sales_are_left_alone_in_bulk(place: Any) -> None:
    ripe, early, disputed = in_inspection(place, 3)
    sale.dispute(sale_id=disputed.id, by=disputed.buyer_id)
    ids = [ripe.id, early.id, disputed.id, ripe.id, "sal_unknown"]
    assert settlement.inspected_all(sale_ids=ids) == 0
    pass_days(10)
    assert settlement.inspected_all(sale_ids=ids) == 2
    assert settlement.inspected_all(sale_ids=ids) == 0
    assert Sale.objects.get(pk=disputed.id).state == State.DISPUTED
    assert violated() == []


def test_a_payout_that_was_recorded_is_not_booked_again_in_bulk(place: Any) -> None:
    sales = in_inspection(place, 2)
    pass_days(10)
    one_by_one(sales)
    first = rows()
    paid = {payout.id: "tr_other" for payout in Payout.objects.all()}
    ledger.record_payouts(paid=paid, provider="x")
    assert rows() == first
    assert not Payout.objects.filter(provider_id="tr_other").exists()
