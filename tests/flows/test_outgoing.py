"""What leaves by the bank on a real database: refunds, returns, payouts and their payment files."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.flows.banking import Banking, asked, bank_, clean, fresh, people, place, sent_anew
from tests.flows.test_sale import balance, moved, step

from onym import ports
from onym.core.errors import (
    AlreadyClosed,
    Malformed,
    NotFound,
    ScreeningStale,
    SecondPersonNeeded,
    ShownChanged,
)
from onym.core.sale import PaymentState, State
from onym.flows import bank, desk, ledger, listing, outgoing, payments, receiver, sale
from onym.ports.screening import NameList
from onym.queries import bank as queries
from onym.queries import due
from onym.store import clock as clocks
from onym.store.models import Approval, BankDraw, BankLine, BankOrder, Entry, Notice, Payout, Sale
from onym_demo.bank import sent

__all__ = ["asked", "bank_", "people", "place"]
pytestmark = pytest.mark.usefixtures("database")
IBAN = "FR1420041010050500013M02606"
OTHER = "GB29NWBK60161331926819"


def refunds() -> dict[str, int]:
    """What goes back, by the account that it goes to."""
    rows = BankOrder.objects.filter(kind="refund")
    return {row.opened("iban"): row.minor for row in rows}


def give_up(made: Sale) -> None:
    sale.give_up(fresh(made), holder="acc-moon", why="not_delivered", now=clocks.now())


def test_a_refund_goes_to_each_who_paid_what_the_sale_had_taken_of_theirs(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("400.00", reference))
    bank_.take(bank_.came("30.00", reference, iban=OTHER))
    give_up(made)
    assert refunds() == {IBAN: 40_000, OTHER: 2_000}
    clean()
    team = make.member(made.namespace, roles="curator")
    first, second = sent(outgoing.file(namespace="demo", by=team.id).text, prefix="P")
    bank_.take(first)
    assert (fresh(made).state, balance(f"escrow:{made.id}")) == (State.REFUNDING, 2_000)
    clean()
    bank_.take(second)
    assert (fresh(made).state, balance(f"escrow:{made.id}")) == (State.REFUNDED, 0)
    assert (balance("suspense"), balance("world:bank")) == (1_000, -1_000)
    assert Entry.objects.filter(kind="refunded").count() == 2
    clean()


def test_whoever_sends_a_cent_with_a_sales_reference_gets_no_more_than_it_back(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("420.00", reference))
    bank_.take(bank_.came("0.01", reference, iban=OTHER))
    give_up(made)
    assert refunds() == {IBAN: 42_000}
    assert BankOrder.objects.get(kind="return").opened("iban") == OTHER
    clean()


def test_a_cent_beside_a_card_that_is_asked_draws_nothing_and_is_refunded_nothing(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    charge = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    bank_.take(bank_.came("420.00", reference))
    bank_.take(bank_.came("0.01", reference, iban=OTHER))
    said = {"provider": "stripe", "provider_id": "pi_1"}
    payments.record_charge(payment_id=charge.id, state=PaymentState.DECLINED, **said)
    bank.look_again(sale_id=made.id)
    assert fresh(made).state == State.DELIVERING
    give_up(made)
    assert refunds() == {IBAN: 42_000}
    assert balance("suspense") == 1
    clean()


def test_a_rest_that_a_person_gives_to_another_sale_leaves_the_first_ones_refund_as_it_is(
    place: Any, people: Any, asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("500.00", reference))
    make.handle(place, "star", account_id="acc-moon")
    price = make.usd(400)
    listed = listing.open_(namespace="demo", handle="star", seller=people[0].id, price=price)
    other = listing.buy(listing_id=listed.id, buyer=people[1].id)
    second = bank.begin(sale_id=other.id, by=other.buyer_id).reference
    team = make.member(place, roles="curator")
    bank.decide(line_id=BankLine.objects.get().id, by=team.id, reference=second)
    give_up(made)
    assert refunds() == {IBAN: 42_000}
    clean()


def test_what_was_drawn_before_it_was_written_down_is_read_off_the_arrivals(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("400.00", reference))
    bank_.take(bank_.came("30.00", reference, iban=OTHER))
    bank_.take(bank_.came("1.00", reference))
    team = make.member(made.namespace, roles="curator")
    bank.decide(line_id=BankLine.objects.get(rest_minor__gt=0).id, by=team.id)
    drawn = list(BankDraw.objects.order_by("minor").values_list("line", "sale", "minor"))
    assert [minor for *_, minor in drawn] == [2_000, 40_000]
    BankDraw.objects.all().delete()
    fill = importlib.import_module("onym.store.migrations.0052_bank_drawn").FILL
    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute(fill)
        found = BankDraw.objects.order_by("minor").values_list("line", "sale", "minor")
        assert list(found) == drawn


def test_a_refund_whose_payer_nobody_knows_waits_for_a_person(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("420.00", reference))
    BankDraw.objects.all().delete()
    give_up(made)
    order = BankOrder.objects.get()
    assert (order.state, order.minor) == ("no_place", 42_000)
    clean()


def test_a_refund_goes_by_payment_file_and_is_done_when_a_statement_says_so(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("420.00", reference))
    done = fresh(made)
    sale.give_up(done, holder="acc-moon", why="not_delivered", now=clocks.now())
    order = BankOrder.objects.get()
    assert (order.kind, order.opened("iban"), order.opened("name")) == (
        "refund",
        IBAN,
        "Nadia Roux",
    )
    team = make.member(made.namespace, roles="curator")
    made_file = outgoing.file(namespace="demo", by=team.id)
    with pytest.raises(NotFound):
        outgoing.file(namespace="demo", by=team.id)
    assert b"Nadia" not in bytes(made_file.text_sealed)
    assert fresh(made).state == State.REFUNDING
    bank_.pay(made_file.text)
    assert fresh(made).state == State.REFUNDED
    assert (balance("world:bank"), balance(f"escrow:{made.id}")) == (0, 0)
    assert BankOrder.objects.get().state == "done"
    clean()


def test_a_payout_goes_to_the_members_bank_account_once(
    place: Any, people: Any, asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    seller, _ = people
    with pytest.raises(Malformed):
        outgoing.set_account(member=seller.id, iban="DE89370400440532013001", name="Leila Mansour")
    outgoing.set_account(member=seller.id, iban="DE89 3704 0044 0532 0130 00", name="Leila Mansour")
    assert queries.account_of(seller.id) == "3000"
    bank_.take(bank_.came("420.00", reference))
    moved(fresh(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    assert not BankOrder.objects.exists()
    step(24 * 3600)
    for _ in range(2):
        ledger.pay_out(payout_id=payout.id)
    assert [item for item in due.until(clocks.now()) if item.what == "ledger.pay_out"] == []
    order = BankOrder.objects.get()
    assert (order.kind, order.minor, order.opened("name")) == ("payout", 40_000, "Leila Mansour")
    team = make.member(place, roles="curator")
    text = outgoing.file(namespace="demo", by=team.id).text
    clean()
    bank_.pay(text)
    payout.refresh_from_db()
    assert (payout.state, balance(f"member:{seller.id}:payable")) == ("done", 0)
    assert balance("world:bank") == -2_000
    clean()


def test_a_payout_that_the_other_bank_sends_back_is_owed_again_and_sent_anew(
    place: Any, people: Any, asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    seller, team = people[0], make.member(place, roles="curator").id
    outgoing.set_account(member=seller.id, iban="DE89370400440532013000", name="Leila Mansour")
    bank_.take(bank_.came("420.00", reference))
    moved(fresh(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    payout = Payout.objects.get()
    for turn, iban in enumerate(("GB29NWBK60161331926819", "FR1420041010050500013M02606")):
        step(24 * 3600)
        ledger.pay_out(payout_id=payout.id)
        bank_.pay(outgoing.file(namespace="demo", by=team).text)
        order = BankOrder.objects.get(state="done")
        back = {"end_to_end": order.end_to_end, "name": "Leila Mansour"}
        other = bank_.came("399.99", **back | {"end_to_end": "borSOMEBODY"})
        bank_.take(bank_.came("400.00", **back), other)
        payout.refresh_from_db()
        assert (payout.state, payout.reason, payout.bounces) == ("refused", "returned", turn + 1)
        assert balance(f"member:{seller.id}:payable") == 40_000
        assert [item for item in due.until(clocks.now()) if item.what == "ledger.pay_out"] == []
        clean()
        outgoing.set_account(member=seller.id, iban=iban, name="Leila Mansour")
        payout.refresh_from_db()
        assert (payout.state, payout.attempt) == ("refused", turn)
        sent_anew()
        payout.refresh_from_db()
        assert (payout.state, payout.attempt) == ("due", turn + 1)
    ledger.pay_out(payout_id=payout.id)
    bank_.pay(outgoing.file(namespace="demo", by=team).text)
    payout.refresh_from_db()
    assert (payout.state, balance(f"member:{seller.id}:payable")) == ("done", 0)
    assert Entry.objects.filter(kind="paid_out").count() == 3
    assert Notice.objects.filter(kind="payout_returned").count() == 2
    clean()


def test_a_payout_that_came_back_goes_to_the_providers_account_once_the_banks_is_forgotten(
    place: Any, people: Any, asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    outgoing.set_account(member=people[0].id, iban="DE89370400440532013000", name="Leila Mansour")
    sent_anew()
    bank_.take(bank_.came("420.00", reference))
    moved(fresh(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    text = outgoing.file(namespace="demo", by=make.member(place, roles="curator").id).text
    back = bank_.came("400.00", end_to_end=BankOrder.objects.get().end_to_end)
    bank_.take(*sent(text, prefix="P"), back)
    payout.refresh_from_db()
    assert (payout.state, payout.reason) == ("refused", "returned")
    clean()
    outgoing.drop_account(member=people[0].id)
    sent_anew()
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert (payout.state, payout.attempt, BankOrder.objects.count()) == ("unknown", 1, 1)


def test_a_return_without_an_account_waits_for_a_person(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    sale.cancel(sale_id=made.id, by=made.buyer_id)
    bank_.take(bank_.came("420.00", reference, iban="", name=""))
    order = BankOrder.objects.get()
    assert order.state == "no_place"
    team = make.member(made.namespace, roles="curator")
    with pytest.raises(NotFound):
        outgoing.file(namespace="demo", by=team.id)
    receiver.name(order_id=order.id, by=team.id, iban=IBAN, holder="Nadia Roux")
    with pytest.raises(AlreadyClosed):
        receiver.name(order_id=order.id, by=team.id, iban=IBAN, holder="Nadia Roux")
    assert BankOrder.objects.get().completed_by_id == team.id
    bank_.pay(outgoing.file(namespace="demo", by=team.id).text)
    assert (balance("suspense"), balance("world:bank")) == (0, 0)
    clean()


@pytest.fixture
def dear(asked: Any, bank_: Banking) -> BankOrder:
    """10,000.00 that are to go back, and nobody knows where to."""
    made, reference = asked
    sale.cancel(sale_id=made.id, by=made.buyer_id)
    bank_.take(bank_.came("10000.00", reference, iban="", name=""))
    return BankOrder.objects.get(state="no_place")


def test_from_ten_thousand_on_two_people_say_where_money_goes(place: Any, dear: BankOrder) -> None:
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    proposal: Any = receiver.name(order_id=dear.id, by=one.id, iban=IBAN, holder="Nadia Roux")
    assert isinstance(proposal, Approval)
    assert proposal.facts["ends_in"] == "2606"
    assert "Nadia" not in str(proposal.payload | proposal.facts)
    with pytest.raises(NotFound):
        outgoing.file(namespace="demo", by=one.id)
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=proposal.id, by=one.id, shown=proposal.shown)
    desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    dear.refresh_from_db()
    assert (dear.state, dear.opened("iban"), dear.completed_by_id) == ("waiting", IBAN, one.id)
    clean()


@pytest.mark.parametrize("changed", [{"iban": OTHER}, {"holder": "Nadia Rous"}, {"by": "other"}])
def test_an_account_that_was_said_otherwise_since_is_not_what_the_second_person_approves(
    changed: dict[str, str], place: Any, dear: BankOrder
) -> None:
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    told = {"order_id": dear.id, "by": one.id, "iban": IBAN, "holder": "Nadia Roux"}
    proposal: Any = receiver.name(**told)
    if "by" in changed:
        changed = {"by": make.member(place, roles="curator").id}
    receiver.name(**told | changed)
    with pytest.raises(ShownChanged):
        desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    dear.refresh_from_db()
    assert dear.state == "no_place"


def test_a_name_like_a_listed_one_takes_two_people_whatever_the_amount(
    place: Any, asked: Any, bank_: Banking, tmp_path: Path
) -> None:
    made, reference = asked
    sale.cancel(sale_id=made.id, by=made.buyer_id)
    bank_.take(bank_.came("4.20", reference, iban="", name=""))
    order, team = BankOrder.objects.get(), make.member(place, roles="curator")
    listed = tmp_path / "names.csv"
    ports.install(screenings={"demo": NameList(listed, 7)})
    told = {"order_id": order.id, "by": team.id, "iban": IBAN}
    with pytest.raises(ScreeningStale):
        receiver.name(**told, holder="Nadia Roux")
    listed.write_text(f"as_of,{datetime.now(UTC):%Y-%m-%d}\nAleksandr Sample Petrov\n")
    proposal: Any = receiver.name(**told, holder="PETROV Aleksandr Sample")
    assert isinstance(proposal, Approval)
    assert proposal.facts["like_listed"] is True
    receiver.name(**told, holder="Nadia Roux")
    order.refresh_from_db()
    assert order.state == "waiting"
