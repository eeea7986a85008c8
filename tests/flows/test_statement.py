"""A statement beside other flows: all that its lines name is locked first, in the one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from tests import make
from tests.flows import meeting
from tests.flows.banking import Banking, sent_anew
from tests.flows.purses import lies
from tests.flows.test_sale import moved, sold, step

from onym import ports
from onym.flows import bank, deposit, ledger, listing, outgoing, people, sale, wallet
from onym.queries import audit
from onym.store import clock as clocks
from onym.store import rowlocks
from onym.store.models import BankOrder, BookAccount, Member, Payout, Sale
from onym_demo.bank import Movement, sent

pytestmark = pytest.mark.usefixtures("database")
IBAN = "DE89370400440532013000"


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO, settings.NAMESPACE, settings.WALLET = True, "demo", True
    yield make.namespace()
    ports.clear()


@pytest.fixture
def bank_(place: Any) -> Banking:
    return Banking(place).install()


@pytest.fixture
def two(place: Any) -> list[Member]:
    """Two members with a wallet and an account to be paid to, in the order of their ids."""
    made = [make.member(place, account=f"acc-{n}", mail=f"{n}@two.example") for n in range(2)]
    for one in made:
        people.set_name(member=one.id, name="Nadia Roux")
        outgoing.set_account(member=one.id, iban=IBAN, name="Nadia Roux")
    return made


def paid_out(place: Any, two: list[Member], bank_: Banking) -> list[Movement]:
    """Both have taken 40.00 out of 100.00, and 5.00 come for each: the second one is named first,
    and is paid out before the first one's money comes in."""
    told = {one.id: deposit.by_transfer(member=one.id).reference for one in two}
    bank_.take(*(bank_.came("100.00", told[one.id]) for one in two))
    for one in two:
        wallet.pay_out(member=one.id, amount=make.usd(40))
    step(24 * 3600)
    for id_ in Payout.objects.values_list("id", flat=True):
        ledger.pay_out(payout_id=id_)
    team = make.member(place, roles="curator")
    left = sent(outgoing.file(namespace="demo", by=team.id).text, prefix="P")
    came = [bank_.came("5.00", told[one.id]) for one in two]
    return [*reversed(left), *reversed(came)]


def refunded(place: Any, two: list[Member], bank_: Banking) -> list[Movement]:
    """The refunds of two sales leave, that of the second one first."""
    seller = make.member(place, account="acc-moon")
    for name, buyer in zip(("moon", "star"), two, strict=True):
        make.handle(place, name, account_id="acc-moon")
        price = make.usd(400)
        listed = listing.open_(namespace="demo", handle=name, seller=seller.id, price=price)
        made = listing.buy(listing_id=listed.id, buyer=buyer.id)
        bank_.take(bank_.came("420.00", bank.begin(sale_id=made.id, by=buyer.id).reference))
        made.refresh_from_db()
        with transaction.atomic():
            sale.give_up(made, holder="acc-moon", why="not_delivered", now=clocks.now())
    team = make.member(place, roles="curator")
    return sent(outgoing.file(namespace="demo", by=team.id).text, prefix="P")[::-1]


def _sale(turn: int) -> None:
    rowlocks.sale(Sale.objects.order_by("id").values_list("id", flat=True)[turn])


def _books(turn: int) -> None:
    """The money that a member's wallet holds."""
    rows = BookAccount.objects.filter(code__endswith=":held").order_by("id")
    rowlocks.books([rows.values_list("id", flat=True)[turn]])


def _member(turn: int) -> None:
    """The first member, then what is in the wallet."""
    named = Member.objects.filter(walletreference__isnull=False).order_by("id")
    first = named.values_list("id", flat=True)[0]
    if turn == 0:
        rowlocks.member(first)
    else:
        rowlocks.wallet(namespace="demo", member=first)


@pytest.mark.parametrize(
    ("writes", "lock"),
    [(refunded, _sale), (paid_out, _books), (paid_out, _member)],
    ids=["sales", "book accounts", "a member, then their wallet"],
)
def test_an_import_waits_for_what_another_flow_has_and_holds_nothing_that_it_wants_next(
    place: Any,
    two: list[Member],
    bank_: Banking,
    writes: Callable[..., list[Movement]],
    lock: Callable[[int], None],
) -> None:
    movements = writes(place, two, bank_)
    text = bank_.write(*movements)
    with transaction.atomic():
        lock(0)
        other = meeting.begin(lambda: bank_.bring(text))
        meeting.it_waits()
        lock(1)
    assert other.result(timeout=20) == "done"
    assert set(BankOrder.objects.values_list("state", flat=True)) == {"done"}
    if writes is paid_out:
        assert [lies(one) for one in two] == [(6_500, 0)] * 2
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken


def test_a_payout_that_left_and_came_back_goes_to_the_provider_once_the_account_is_forgotten(
    place: Any, bank_: Banking
) -> None:
    people_ = [make.member(place, account=account) for account in ("acc-moon", "acc-nadia")]
    seller = people_[0].id
    outgoing.set_account(member=seller, iban=IBAN, name="Leila Mansour")
    make.handle(place, "moon", account_id="acc-moon")
    made = sold(place, (people_[0], people_[1]))
    bank_.take(bank_.came("420.00", bank.begin(sale_id=made.id, by=made.buyer_id).reference))
    moved(made)
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    text = outgoing.file(namespace="demo", by=make.member(place, roles="curator").id).text
    back = bank_.came("400.00", end_to_end=BankOrder.objects.get().end_to_end)
    bank_.take(*sent(text, prefix="P"), back)
    payout.refresh_from_db()
    assert (payout.state, payout.reason) == ("refused", "returned")
    outgoing.drop_account(member=seller)
    sent_anew()
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert (payout.state, payout.attempt, BankOrder.objects.count()) == ("unknown", 1, 1)
