"""Money that comes by bank transfer into a wallet: put in within the limits, or in suspense."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import make
from tests.flows.banking import Banking
from tests.flows.purses import lies

from onym import ports
from onym.core.errors import (
    AlreadyClosed,
    AmountTooLarge,
    Malformed,
    NameNeeded,
    NotFound,
    NotLinked,
    ScreeningHeld,
    StaffMayNot,
    StatementKnown,
)
from onym.flows import bank, deposit, desk, erasure, people, screening, wallet
from onym.ports.screening import NameList
from onym.queries import audit
from onym.store.models import (
    Approval,
    BankLine,
    BankOrder,
    Deposit,
    Entry,
    Member,
    ScreeningCase,
    WalletReference,
)

pytestmark = pytest.mark.usefixtures("database")
LISTED = "Aleksandr Sample Petrov"
LIMITS = """
id = "house"
version = 1
effective_from = 2020-01-01
[[tier]]
name = "new"
[tier.USD]
card = "10"
bank_transfer = "500"
deposit = "300"
balance = "400"
"""


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO, settings.NAMESPACE, settings.WALLET = True, "demo", True
    yield make.namespace()
    ports.clear()


@pytest.fixture
def bank_(place: Any) -> Banking:
    return Banking(place).install()


@pytest.fixture
def nadia(place: Any) -> Member:
    made: Member = make.member(place, account="acc-nadia", mail="nadia@two.example")
    people.set_name(member=made.id, name="Nadia Roux")
    made.refresh_from_db()
    return made


@pytest.fixture
def reference(bank_: Banking, nadia: Member) -> str:
    return deposit.by_transfer(member=nadia.id).reference


def clean() -> None:
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken


def names(folder: Path, *listed: str) -> None:
    file = folder / "list.csv"
    file.write_text("\n".join([f"as_of,{datetime.now(UTC):%Y-%m-%d}", *listed]) + "\n")
    ports.install(screenings={"demo": NameList(file, 7)})


def in_suspense() -> list[tuple[str, int]]:
    rows = BankLine.objects.filter(rest_minor__gt=0).order_by("-rest_minor")
    return list(rows.values_list("outcome", "rest_minor"))


def test_what_comes_under_the_members_reference_lies_in_the_wallet(
    nadia: Member, bank_: Banking, reference: str
) -> None:
    assert deposit.by_transfer(member=nadia.id).reference == reference
    grouped = " ".join(reference[n : n + 4] for n in range(0, len(reference), 4)).lower()
    bank_.take(bank_.came("250.00", f"my wallet {grouped}"), bank_.came("0.01", reference))
    assert lies(nadia) == (25_001, 0)
    assert list(Deposit.objects.values_list("state", "method").distinct()) == [
        ("paid", "bank_transfer")
    ]
    assert Entry.objects.filter(kind="deposited").count() == 2
    assert set(BankLine.objects.values_list("outcome", "rest_minor")) == {("wallet", 0)}
    clean()


def test_a_statement_taken_twice_puts_it_in_once(
    nadia: Member, bank_: Banking, reference: str
) -> None:
    bank_.take(bank_.came("250.00", reference))
    with pytest.raises(StatementKnown):
        bank_.bring(bank_.texts[0])
    assert (lies(nadia), Deposit.objects.count()) == ((25_000, 0), 1)


def test_limits_are_those_of_a_transfer_and_the_rest_waits_for_a_person(
    place: Any, nadia: Member, bank_: Banking, reference: str
) -> None:
    make.document(place, kind="limits", name="house", text=LIMITS)
    amounts = ("300.00", "300.01", "100.01", "100.00", "0.01")
    bank_.take(*(bank_.came(amount, reference) for amount in amounts))
    assert lies(nadia) == (40_000, 0)
    assert in_suspense() == [("not_now", minor) for minor in (30_001, 10_001, 1)]
    team = make.member(place, roles="curator")
    line = BankLine.objects.get(rest_minor=1)
    with pytest.raises(AmountTooLarge):
        bank.decide(line_id=line.id, by=team.id, reference=reference)
    assert BankLine.objects.get(pk=line.id).decided_by_id is None
    bank.decide(line_id=line.id, by=team.id)
    assert (BankOrder.objects.get().kind, BankOrder.objects.get().minor) == ("return", 1)
    clean()


def test_a_person_puts_in_what_had_no_reference_and_two_do_from_ten_thousand_on(
    place: Any, nadia: Member, bank_: Banking, reference: str
) -> None:
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    bank_.take(bank_.came("50.00", "for nadia"), bank_.came("10000.00", "for nadia"))
    small, large = BankLine.objects.order_by("minor")
    bank.decide(line_id=small.id, by=one.id, reference=reference)
    assert lies(nadia) == (5_000, 0)
    with pytest.raises(AlreadyClosed):
        bank.decide(line_id=small.id, by=one.id, reference=reference)
    proposal = bank.decide(line_id=large.id, by=one.id, reference=reference)
    assert isinstance(proposal, Approval)
    assert proposal.payload["wallet"] == nadia.id
    desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    assert lies(nadia) == (1_005_000, 0)
    clean()


def test_neither_a_held_member_nor_a_listed_payer_puts_anything_in(
    place: Any, nadia: Member, bank_: Banking, reference: str, tmp_path: Path
) -> None:
    names(tmp_path, LISTED)
    bank_.take(bank_.came("10.00", reference, name=LISTED.upper()))
    assert (lies(nadia), in_suspense()) == ((0, 0), [("not_now", 1_000)])
    case = ScreeningCase.objects.get()  # about the payer's name, and it holds whom they pay for
    assert (case.member_id, case.name) == (nadia.id, LISTED.upper())
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(nadia)
    team = make.member(place, roles="curator")
    line = BankLine.objects.get()
    with pytest.raises(ScreeningHeld):
        bank.decide(line_id=line.id, by=team.id, reference=reference)
    screening.decide(case_id=case.id, by=team.id, outcome="cleared")
    bank.decide(line_id=line.id, by=team.id, reference=reference)
    assert lies(nadia) == (1_000, 0)
    clean()


def test_a_listed_payer_whom_a_person_assigns_leaves_a_case_that_somebody_can_clear(
    place: Any, nadia: Member, bank_: Banking, reference: str, tmp_path: Path
) -> None:
    names(tmp_path, LISTED)
    bank_.take(bank_.came("10.00", "no word of it", name=LISTED))
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    small = BankLine.objects.get()
    with pytest.raises(ScreeningHeld):
        bank.decide(line_id=small.id, by=one.id, reference=reference)
    screening.decide(case_id=ScreeningCase.objects.get().id, by=two.id, outcome="cleared")
    bank.decide(line_id=small.id, by=one.id, reference=reference)
    assert lies(nadia) == (1_000, 0)


def test_a_payer_who_is_listed_before_the_second_person_approves_leaves_a_case(
    place: Any, nadia: Member, bank_: Banking, reference: str, tmp_path: Path
) -> None:
    bank_.take(bank_.came("10000.00", "no word of it", name=LISTED))
    one, two = make.member(place, roles="curator"), make.member(place, roles="curator")
    proposal: Any = bank.decide(line_id=BankLine.objects.get().id, by=one.id, reference=reference)
    names(tmp_path, LISTED)
    with pytest.raises(ScreeningHeld):
        desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    case = ScreeningCase.objects.get()
    assert (case.member_id, case.name) == (nadia.id, LISTED)
    screening.decide(case_id=case.id, by=two.id, outcome="cleared")
    desk.approve(approval_id=proposal.id, by=two.id, shown=proposal.shown)
    assert lies(nadia) == (1_000_000, 0)


def test_a_stale_list_keeps_it_in_suspense_and_the_statement_is_booked_all_the_same(
    nadia: Member, bank_: Banking, reference: str, tmp_path: Path
) -> None:
    ports.install(screenings={"demo": NameList(tmp_path / "missing.csv", 7)})
    bank_.take(bank_.came("10.00", reference))
    assert (lies(nadia), in_suspense()) == ((0, 0), [("not_now", 1_000)])
    clean()


def test_where_wallets_are_off_it_lies_in_suspense_and_goes_back(
    place: Any, nadia: Member, bank_: Banking, reference: str, settings: Any
) -> None:
    settings.WALLET = False
    bank_.take(bank_.came("10.00", reference))
    assert in_suspense() == [("not_now", 1_000)]
    with pytest.raises(NotFound):
        deposit.by_transfer(member=nadia.id)


def test_the_reference_of_whoever_has_left_is_nobodys(
    nadia: Member, bank_: Banking, reference: str
) -> None:
    erasure.erase(member=nadia.id)
    assert not WalletReference.objects.exists()
    bank_.take(bank_.came("10.00", reference))
    assert in_suspense() == [("unknown", 1_000)]
    clean()


def test_who_may_not_put_money_in_is_told_no_reference(
    place: Any, bank_: Banking, tmp_path: Path
) -> None:
    with pytest.raises(StaffMayNot):
        deposit.by_transfer(member=make.member(place, account="acc-1", roles="curator").id)
    with pytest.raises(NotLinked):
        deposit.by_transfer(member=make.member(place).id)
    names(tmp_path, LISTED)
    nameless = make.member(place, account="acc-2")
    with pytest.raises(NameNeeded):
        deposit.by_transfer(member=nameless.id)
    ports.clear()
    with pytest.raises(Malformed):
        deposit.by_transfer(member=nameless.id)
    assert not WalletReference.objects.exists()


def test_a_transfer_is_no_payment_method_of_a_deposit(nadia: Member, bank_: Banking) -> None:
    with pytest.raises(Malformed):
        deposit.begin(member=nadia.id, amount=make.usd(10), method="bank_transfer")


def test_what_came_by_transfer_pays_a_sale_and_leaves_again(
    place: Any, nadia: Member, bank_: Banking, reference: str
) -> None:
    bank_.take(bank_.came("250.00", reference))
    out = wallet.pay_out(member=nadia.id, amount=make.usd(100))
    assert (out.state, lies(nadia)) == ("due", (15_000, 10_000))
    clean()
