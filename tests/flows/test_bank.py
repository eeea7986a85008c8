"""Bank transfers on a real database: matching, suspense, returns, payouts, and what is refused."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from tests import make
from tests.flows import meeting
from tests.flows.banking import Banking, asked, bank_, clean, fresh, people, place
from tests.flows.test_sale import balance, moved, paid, sold, step

from onym.core.errors import (
    AccountMismatch,
    AlreadyClosed,
    CurrencyMismatch,
    Expired,
    InProgress,
    Malformed,
    NotAllowed,
    NotFound,
    Refusal,
    SecondPersonNeeded,
    StatementGap,
    StatementKnown,
    StatementUnbalanced,
)
from onym.core.sale import PaymentState, State
from onym.flows import area, bank, clock, desk, payments, sale
from onym.queries import bank as queries
from onym.queries import due
from onym.queries import sale as sales
from onym.store import clock as clocks
from onym.store import rowlocks
from onym.store.models import (
    Approval,
    BankLine,
    BankOrder,
    BankStatement,
    Document,
    Entry,
    Event,
    Notice,
    Payment,
    Posting,
)

__all__ = ["asked", "bank_", "people", "place"]
pytestmark = pytest.mark.usefixtures("database")
IBAN = "FR1420041010050500013M02606"


def look() -> None:
    """What the clock makes due about transfers, done."""
    for _ in range(2):
        for item in due.until(clocks.now()):
            if item.what == "bank.look_again":
                bank.look_again(sale_id=item.id)
            if item.what == "payments.funding_over":
                payments.funding_over(sale_id=item.id)


def test_the_exact_amount_funds_the_sale_as_a_card_does(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    told = queries.instructions(made.id)
    assert told is not None
    assert (told["iban"], told["missing"].minor) == ("DE89370400440532013000", 42_000)
    bank_.take(bank_.came("420.00", f"handle {reference}"))
    done = fresh(made)
    assert done.state == State.DELIVERING
    assert done.handle.locked_by == made.id
    assert (balance(f"escrow:{made.id}"), balance("world:bank")) == (42_000, -42_000)
    assert balance("suspense") == 0
    row = Payment.objects.get(sale=made)
    assert (row.method, row.state, row.provider_id) == ("bank_transfer", "paid", reference)
    assert Event.objects.filter(type="SaleFunded", ref=made.id).count() == 1
    settled = moved(done)
    sale.accept(sale_id=made.id, by=made.buyer_id)
    assert fresh(settled).state == State.SETTLED
    clean()


def test_a_part_waits_says_what_is_missing_and_the_rest_funds_it(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("400.00", reference))
    told = queries.instructions(made.id)
    assert told is not None
    assert (told["arrived"].minor, told["missing"].minor) == (40_000, 2_000)
    notice = Notice.objects.get(kind="transfer_partial")
    assert notice.facts["missing"] == {"minor": "2000", "currency": "USD"}
    assert fresh(made).state == State.FUNDING
    clean()
    bank_.take(bank_.came("20.00", reference))
    assert fresh(made).state == State.DELIVERING
    assert (balance("suspense"), balance(f"escrow:{made.id}")) == (0, 42_000)
    clean()


def test_too_much_funds_the_sale_and_the_rest_lies_in_suspense(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("500.00", reference))
    assert fresh(made).state == State.DELIVERING
    line = BankLine.objects.get()
    assert (line.outcome, line.rest_minor, balance("suspense")) == ("over", 8_000, 8_000)
    team = make.member(made.namespace, roles="curator")
    bank.decide(line_id=line.id, by=team.id)
    order = BankOrder.objects.get()
    assert (order.kind, order.minor, order.opened("iban")) == ("return", 8_000, IBAN)
    with pytest.raises(AlreadyClosed):
        bank.decide(line_id=line.id, by=team.id)
    clean()


def test_an_unknown_reference_lies_in_suspense_until_a_person_assigns_it(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    bank_.take(bank_.came("420.00", "for the moon"))
    line = BankLine.objects.get()
    assert (line.outcome, line.sale, balance("suspense")) == ("unknown", None, 42_000)
    assert (line.opened("text"), line.opened("name")) == ("for the moon", "Nadia Roux")
    assert b"Nadia" not in bytes(line.name_sealed)
    team = make.member(made.namespace, roles="curator")
    with pytest.raises(NotFound):
        bank.decide(line_id=line.id, by=team.id, reference="RF18539007547034")
    with pytest.raises(NotAllowed):
        bank.decide(line_id=line.id, by=made.buyer_id, reference=reference)
    bank.decide(line_id=line.id, by=team.id, reference=reference)
    assert fresh(made).state == State.DELIVERING
    assert BankLine.objects.get().decided_by_id == team.id
    clean()


def test_from_ten_thousand_on_two_people_decide_about_suspense(
    place: Any, people: Any, bank_: Banking
) -> None:
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    bank_.take(bank_.came("9999.99", "small"), bank_.came("10000.00", "large"))
    small, large = BankLine.objects.order_by("minor")
    assert isinstance(bank.decide(line_id=small.id, by=one.id), BankLine)
    proposal = bank.decide(line_id=large.id, by=one.id)
    assert isinstance(proposal, Approval)
    assert BankOrder.objects.count() == 1
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=proposal.id, by=one.id, shown=proposal.shown)
    desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    assert sorted(BankOrder.objects.values_list("minor", flat=True)) == [999_999, 1_000_000]
    clean()


def test_money_approved_for_a_sale_that_ended_while_the_approval_waited_for_it_is_late(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    one = make.member(made.namespace, roles="curator")
    two = make.member(made.namespace, roles="curator")
    bank_.take(bank_.came("10000.00", "for the moon"))
    line = BankLine.objects.get()
    proposal: Any = bank.decide(line_id=line.id, by=one.id, reference=reference)
    with transaction.atomic():
        rowlocks.sale(made.id)
        said = meeting.begin(
            lambda: desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
        )
        meeting.it_waits()
        clock.set_ahead(to=made.funding_until)
    assert said.result(20) == "already_closed"
    assert balance("suspense") == 1_000_000
    assert BankLine.objects.get().sale is None


def test_money_for_an_ended_sale_goes_back(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    sale.cancel(sale_id=made.id, by=made.buyer_id)
    bank_.take(bank_.came("420.00", reference))
    line, order = BankLine.objects.get(), BankOrder.objects.get()
    assert (line.outcome, line.rest_minor) == ("late", 0)
    assert (order.kind, order.state, order.minor) == ("return", "waiting", 42_000)
    clean()


def test_money_after_the_time_to_pay_goes_back_even_if_nobody_has_closed_the_sale(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    step(72 * 3600)
    bank_.take(bank_.came("420.00", reference))
    assert fresh(made).state == State.FUNDING
    assert BankLine.objects.get().outcome == "late"
    look()
    assert fresh(made).state == State.EXPIRED
    assert BankOrder.objects.get().minor == 42_000
    clean()


@pytest.mark.parametrize("first", ["400.00", "420.00"])
def test_money_that_comes_while_sales_are_stopped_is_not_late_and_funds_its_sale_after_the_lift(
    first: str, asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    team = [make.member(made.namespace, roles="curator") for _ in range(2)]
    area.set_area(namespace="demo", area="sales", stopped=True, by=team[0].id)
    step(72 * 3600)
    bank_.take(bank_.came(first, reference))
    look()
    assert (fresh(made).state, BankLine.objects.get().waits) == (State.FUNDING, True)
    proposed: Any = area.set_area(namespace="demo", area="sales", stopped=False, by=team[0].id)
    desk.approve(approval_id=proposed.id, by=team[1].id, shown=proposed.shown)
    if first == "400.00":
        bank_.take(bank_.came("20.00", reference))
    look()
    assert fresh(made).state == State.DELIVERING
    clean()


def test_a_part_goes_back_when_the_rest_does_not_come_in_time(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("400.00", reference))
    look()
    assert not BankOrder.objects.exists()
    step(72 * 3600)
    look()
    assert fresh(made).state == State.EXPIRED
    assert (BankOrder.objects.get().minor, BankLine.objects.get().waits) == (40_000, False)
    look()
    assert BankOrder.objects.count() == 1
    clean()


def test_a_second_payment_of_a_funded_sale_goes_back(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("420.00", reference), bank_.came("420.00", reference))
    assert fresh(made).state == State.DELIVERING
    assert sorted(BankLine.objects.values_list("outcome", flat=True)) == ["exact", "late"]
    assert BankOrder.objects.get().minor == 42_000
    clean()


def test_while_a_cards_outcome_is_open_the_transfer_waits_and_then_funds_or_goes_back(
    asked: Any, bank_: Banking
) -> None:
    made, reference = asked
    charge = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    with pytest.raises(InProgress):
        bank.begin(sale_id=made.id, by=made.buyer_id)
    bank_.take(bank_.came("420.00", reference))
    look()
    assert (fresh(made).state, BankLine.objects.get().waits) == (State.FUNDING, True)
    said = {"provider": "stripe", "provider_id": "pi_1"}
    payments.record_charge(payment_id=charge.id, state=PaymentState.DECLINED, **said)
    look()
    assert fresh(made).state == State.DELIVERING
    clean()


def test_a_transfer_beside_a_card_that_paid_goes_back(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("100.00", reference))
    paid(made)
    look()
    assert (BankLine.objects.get().outcome, BankOrder.objects.get().minor) == ("late", 10_000)
    clean()


def test_what_the_bank_takes_unordered_stands_against_suspense(bank_: Banking) -> None:
    bank_.take(bank_.came("-3.50", "charges"))
    assert (balance("suspense"), balance("world:bank")) == (-350, 350)
    clean()


def test_the_guidelines_may_give_a_transfer_longer(place: Any, people: Any, bank_: Banking) -> None:
    row = Document.objects.get(kind="guidelines")
    text = row.text.replace("payment_hours = 72", "payment_hours = 72\nbank_transfer_hours = 240")
    row.text = text
    row.save()
    made = sold(place, people)
    bank.begin(sale_id=made.id, by=made.buyer_id)
    bank.begin(sale_id=made.id, by=made.buyer_id)
    assert (fresh(made).funding_until - made.agreed_at).days == 10


def test_without_an_account_of_the_house_nobody_pays_by_transfer(place: Any, people: Any) -> None:
    made = sold(place, people)
    with pytest.raises(Malformed):
        bank.begin(sale_id=made.id, by=made.buyer_id)


def test_only_the_buyer_begins_a_transfer_and_only_in_time(asked: Any) -> None:
    made, _ = asked
    with pytest.raises(NotAllowed):
        bank.begin(sale_id=made.id, by=made.seller_id)
    step(72 * 3600)
    with pytest.raises(Expired):
        bank.begin(sale_id=made.id, by=made.buyer_id)


REFUSED: dict[str, tuple[dict[str, Any], type[Refusal]]] = {
    "another currency": ({"currency": "EUR"}, CurrencyMismatch),
    "another account": ({"iban": IBAN}, AccountMismatch),
    "a wrong sum": ({"closing": 1}, StatementUnbalanced),
    "a gap before it": ({"opening": 1}, StatementGap),
    "the number of another one": ({"id": "S1"}, StatementKnown),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_statement_that_is_wrong_is_refused_whole(what: str, asked: Any, bank_: Banking) -> None:
    made, reference = asked
    bank_.take(bank_.came("5.00", "first"))
    changes, refusal = REFUSED[what]
    before = (Entry.objects.count(), Posting.objects.count(), BankLine.objects.count())
    changes = {k: Decimal(v) if isinstance(v, int) else v for k, v in changes.items()}
    with pytest.raises(refusal):
        bank_.bring(bank_.write(bank_.came("420.00", reference), **changes))
    assert (Entry.objects.count(), Posting.objects.count(), BankLine.objects.count()) == before
    assert fresh(made).state == State.FUNDING
    clean()


def test_a_file_and_an_entry_are_taken_once(asked: Any, bank_: Banking) -> None:
    _, reference = asked
    movement = bank_.came("400.00", reference)
    bank_.take(movement)
    with pytest.raises(StatementKnown):
        bank_.bring(bank_.texts[-1])
    with pytest.raises(StatementKnown):
        bank_.bring(bank_.write(bank_.came("1.00", "new"), movement))
    with pytest.raises(StatementKnown):
        bank_.bring(bank_.write(*[bank_.came("1.00", "new")] * 2))
    assert (BankLine.objects.count(), balance("suspense")) == (1, 40_000)


def test_two_imports_of_one_file_at_once_book_it_once(asked: Any, bank_: Banking) -> None:
    made, reference = asked
    text = bank_.write(bank_.came("420.00", reference))
    gate, said = threading.Barrier(2), []

    def bring() -> None:
        gate.wait()
        try:
            bank_.bring(text)
            said.append("booked")
        except StatementKnown:
            said.append("known")
        finally:
            connection.close()

    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["booked", "known"]
    assert (BankStatement.objects.count(), fresh(made).state) == (1, State.DELIVERING)
    clean()


def test_the_sale_as_its_buyer_sees_it_is_the_same_as_with_a_card(asked: Any) -> None:
    made, _ = asked
    assert sales.sale(made.id, viewer=made.buyer_id)["state"] == "funding"
    connections.close_all()
