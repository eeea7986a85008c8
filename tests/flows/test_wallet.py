"""Wallets: money in by card, held, spent on a sale, given back, taken out, and taken by a bank."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from django.db import connections, transaction
from tests import make
from tests import world as worlds
from tests.faults import test_outside, ways
from tests.flows import meeting
from tests.flows.purses import DAY, GOOD, agreed, lies, put, rich, sold_to

from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    InProgress,
    InsufficientFunds,
    NotFound,
    NotLinked,
    Refusal,
)
from onym.flows import deposit, ledger, reconcile, wallet
from onym.flows import sale as sales
from onym.ports.payments import Chargeback as Told
from onym.queries import reconcile as compared
from onym.store import rowlocks
from onym.store.models import (
    BookAccount,
    Chargeback,
    Deposit,
    Hold,
    Member,
    Notice,
    Payment,
    Payout,
    PayoutAccount,
)


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.WALLET = True
    made = worlds.market(settings)
    made.out.own_funds()
    return made


def test_where_wallets_are_off_nothing_comes_in_but_what_is_there_may_leave(
    world: worlds.World, settings: Any
) -> None:
    member = rich(world, 100)
    _, sale = sold_to(world, member, price=50)
    settings.WALLET = False
    for act in (
        lambda: deposit.begin(member=member.id, amount=make.usd(1), method=GOOD),
        lambda: wallet.pay(sale_id=sale, by=member.id),
        lambda: wallet.choose(member=member.id, takes_proceeds=True),
    ):
        with pytest.raises(NotFound, match="no wallets"):
            act()
    other, _, _ = world.member()
    with pytest.raises(NotFound, match="no wallets"):
        wallet.pay_out(member=other.id, amount=make.usd(1))
    wallet.pay_out(member=member.id, amount=make.usd(100))
    world.pass_time(days=3)
    assert lies(member) == (0, 0)
    world.check()


# ---- paying a sale


def test_a_sale_is_paid_from_the_wallet_by_a_hold_that_is_posted_with_its_funding(
    world: worlds.World,
) -> None:
    buyer = rich(world, 500)
    way, sale = sold_to(world, buyer)
    wallet.pay(sale_id=sale, by=buyer.id)
    hold = Hold.objects.get()
    assert (hold.kind, hold.subject, hold.state) == ("sale", sale, "posted")
    assert (hold.posted_minor, hold.amount_minor) == (42_000, 42_000)
    assert lies(buyer) == (8_000, 0)
    world.drain(hurry=True)
    way.accept(sale)
    world.pass_time(days=3)
    assert agreed(sale).state == "settled"
    assert world.out.taken(sale) == {"transfer": -40_000}
    world.check_books()
    world.audit()


def test_too_little_money_is_refused_and_nothing_is_held(world: worlds.World) -> None:
    buyer = rich(world, 419.99)
    _, sale = sold_to(world, buyer)
    with pytest.raises(InsufficientFunds) as found:
        wallet.pay(sale_id=sale, by=buyer.id)
    assert found.value.facts["available"] == {"minor": 41_999, "currency": "USD"}
    assert not Hold.objects.exists()
    assert (agreed(sale).state, lies(buyer)) == ("funding", (41_999, 0))
    world.check_books()
    world.audit()


def test_whoever_changed_a_factor_or_an_address_pays_nothing_from_the_wallet_for_thirty_days(
    world: worlds.World,
) -> None:
    buyer = rich(world, 500)
    _, sale = sold_to(world, buyer)
    Member.objects.filter(pk=buyer.id).update(security_changed_at=world.now())
    with pytest.raises(HandleLocked, match="30 days"):
        wallet.pay(sale_id=sale, by=buyer.id)
    assert (agreed(sale).state, lies(buyer)) == ("funding", (50_000, 0))
    Member.objects.filter(pk=buyer.id).update(security_changed_at=world.now() - 30 * DAY)
    wallet.pay(sale_id=sale, by=buyer.id)
    assert lies(buyer) == (8_000, 0)


def test_a_cancelled_sale_gives_the_money_back_to_the_wallet(world: worlds.World) -> None:
    buyer = rich(world, 700)
    way, sale = sold_to(world, buyer, price=600)
    wallet.pay(sale_id=sale, by=buyer.id)
    assert agreed(sale).state == "cooling"
    sales.cancel(sale_id=sale, by=way.seller.id)
    world.drain(hurry=True)
    assert (agreed(sale).state, lies(buyer)) == ("refunded", (70_000, 0))
    assert world.out.taken(sale) == {}
    world.check_books()
    world.audit()


def test_a_card_under_way_and_the_wallet_do_not_both_pay(world: worlds.World) -> None:
    buyer = rich(world, 500)
    way, sale = sold_to(world, buyer)
    way.pay(sale)
    with pytest.raises(InProgress):
        wallet.pay(sale_id=sale, by=buyer.id)
    world.drain(hurry=True)
    assert lies(buyer) == (50_000, 0)


def together(*acts: Any) -> list[str]:
    """Each in a thread with a connection of its own, all let go at once; codes, or `done`."""
    gate, said = threading.Barrier(len(acts)), []

    def run(act: Any) -> None:
        try:
            gate.wait()
            act()
            said.append("done")
        except Refusal as refusal:
            said.append(refusal.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said)


def test_two_who_race_for_one_balance_have_one_winner(world: worlds.World) -> None:
    for _ in range(2):
        buyer = rich(world, 500)
        sales_ = [sold_to(world, buyer)[1] for _ in range(2)]
        said = together(*(partial(wallet.pay, sale_id=sale, by=buyer.id) for sale in sales_))
        assert said == ["done", "insufficient_funds"]
        assert lies(buyer) == (8_000, 0)
    world.check_books()
    world.audit()


def test_a_payment_and_a_payout_race_for_one_balance(world: worlds.World) -> None:
    for _ in range(2):
        buyer = rich(world, 500)
        _, sale = sold_to(world, buyer)
        said = together(
            partial(wallet.pay, sale_id=sale, by=buyer.id),
            partial(wallet.pay_out, member=buyer.id, amount=make.usd(400)),
        )
        assert said == ["done", "insufficient_funds"]
    world.check_books()
    world.audit()


@pytest.mark.parametrize("act", ["pay", "pay_out"])
def test_a_bank_that_takes_a_deposit_meanwhile_freezes_the_wallet(
    world: worlds.World, act: str
) -> None:
    """What is left would suffice; whoever waited for the wallet asks after the bank then."""
    buyer = rich(world, 500)
    _, sale = sold_to(world, buyer)
    acts = {
        "pay": partial(wallet.pay, sale_id=sale, by=buyer.id),
        "pay_out": partial(wallet.pay_out, member=buyer.id, amount=make.usd(400)),
    }
    made, told = Deposit.objects.get(), [Told("dp_1", "open", make.usd(50))]
    with transaction.atomic():
        rowlocks.wallet(namespace="demo", member=buyer.id)
        other = meeting.begin(acts[act])
        meeting.it_waits()
        deposit.record_chargebacks(deposit_id=made.id, provider="stripe", told=told)
    assert (other.result(timeout=20), lies(buyer)) == ("in_progress", (45_000, 0))


def test_a_second_factor_that_is_changed_meanwhile_keeps_the_money_in_the_wallet(
    world: worlds.World,
) -> None:
    member = rich(world, 500)
    with transaction.atomic():
        row = rowlocks.member(member.id)
        other = meeting.begin(partial(wallet.pay_out, member=member.id, amount=make.usd(400)))
        meeting.it_waits()
        row.security_changed_at = world.now()
        row.save(update_fields=["security_changed_at"])
    assert (other.result(timeout=20), lies(member)) == ("handle_locked", (50_000, 0))


# ---- proceeds


def two_due(world: worlds.World) -> list[Payout]:
    """Proceeds of two sellers; the first one's account in the books is the older one."""
    for _ in range(2):
        way = ways.trade(world, price=400)
        sale = way.agree()
        way.pay(sale)
        world.drain(hurry=True)
        way.accept(sale)
        world.drain(hurry=True)
    Payout.objects.update(due_at=world.now())
    rows = Payout.objects.filter(state="due").select_related("sale")
    return sorted(rows, key=lambda row: payable(row).get().id)


def payable(payout: Payout) -> Any:
    return BookAccount.objects.filter(code=f"member:{payout.member_id}:payable")


def test_many_who_chose_the_wallet_are_credited_in_the_order_of_their_accounts(
    world: worlds.World,
) -> None:
    first, second = two_due(world)
    for payout in (first, second):
        wallet.choose(member=payout.member_id, takes_proceeds=True)
    with transaction.atomic():
        rowlocks.books(payable(first).values_list("id", flat=True))
        ids = [second.id, first.id]
        other = meeting.begin(lambda: ledger.pay_out_all(payout_ids=ids))
        meeting.it_waits()
        assert meeting.is_free(payable(second))
    assert other.result(timeout=20) == "done"
    assert set(Payout.objects.values_list("state", flat=True)) == {"kept"}
    world.check_books()
    world.audit()


def test_claims_on_many_sellers_are_locked_in_one_order_before_the_books(
    world: worlds.World,
) -> None:
    first, second = two_due(world)
    for number, payout in enumerate((first, second)):
        made = put(world, payout.member, 50)
        told = [Told(f"dp_{number}", "lost", make.usd(50))]
        wallet.pay_out(member=payout.member_id, amount=make.usd(50))
        Payout.objects.filter(sale=None).update(due_at=world.now())
        ledger.pay_out(payout_id=Payout.objects.get(sale=None, state="due").id)
        world.drain(hurry=True)
        deposit.record_chargebacks(deposit_id=made.id, provider="stripe", told=told)
    older, newer = Chargeback.objects.order_by("id")
    with transaction.atomic():
        rowlocks.chargeback(older.id)
        ids = [second.id, first.id]
        other = meeting.begin(lambda: ledger.pay_out_all(payout_ids=ids))
        meeting.it_waits()
        assert meeting.is_free(Chargeback.objects.filter(pk=newer.pk))
        assert meeting.is_free(BookAccount.objects.filter(code__endswith=":payable"))
    assert other.result(timeout=20) == "done"
    assert [row.recovered_minor for row in Chargeback.objects.all()] == [5_000, 5_000]
    world.check_books()


def test_proceeds_go_to_the_wallet_of_a_seller_who_chose_it_at_once(world: worlds.World) -> None:
    way = ways.trade(world, price=400)
    wallet.choose(member=way.seller.id, takes_proceeds=True)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    world.pass_time(days=3)
    assert agreed(sale).state == "settled"
    assert Payout.objects.get(sale_id=sale).state == "kept"
    assert lies(way.seller) == (40_000, 0)
    assert world.out.taken(sale) == {"charge": 42_000}
    world.check_books()
    world.audit()


def test_without_a_choice_proceeds_leave_for_the_sellers_account(world: worlds.World) -> None:
    way = ways.trade(world, price=400)
    wallet.choose(member=way.seller.id, takes_proceeds=True)
    wallet.choose(member=way.seller.id, takes_proceeds=False)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    world.pass_time(days=6)
    assert Payout.objects.get(sale_id=sale).state == "done"
    assert lies(way.seller) == (0, 0)
    world.check(sale)


# ---- taking out


def test_a_payout_is_held_leaves_after_the_delay_and_is_posted(world: worlds.World) -> None:
    member = rich(world, 600, mail="rich@one.example")
    made = wallet.pay_out(member=member.id, amount=make.usd(500))
    assert lies(member) == (10_000, 50_000)
    assert made.due_at > world.now()
    assert Notice.objects.filter(kind="wallet_payout", about=made.id).count() == 1
    world.drain(hurry=True)
    assert world.out.taken(made.id) == {}
    world.audit()
    world.pass_time(days=5)
    made.refresh_from_db()
    assert (made.state, lies(member)) == ("done", (10_000, 0))
    assert world.out.taken(made.id) == {"transfer": -50_000}
    assert Notice.objects.filter(kind="wallet_paid_out", about=made.id).count() == 1
    world.check()


def test_the_delay_follows_the_amounts_band(world: worlds.World) -> None:
    member = rich(world, 20_000)
    waits = []
    for whole in (10, 12_000):
        made = wallet.pay_out(member=member.id, amount=make.usd(whole))
        waits.append(round((made.due_at - world.now()).total_seconds() / 86_400))
    assert waits[0] < waits[1], waits


def test_a_payout_that_has_not_left_is_stopped_by_its_member_alone(world: worlds.World) -> None:
    member = rich(world, 600)
    made = wallet.pay_out(member=member.id, amount=make.usd(500))
    with pytest.raises(NotFound):
        wallet.stop(payout_id=made.id, by=world.team[0].id)
    wallet.stop(payout_id=made.id, by=member.id)
    assert lies(member) == (60_000, 0)
    with pytest.raises(AlreadyClosed):
        wallet.stop(payout_id=made.id, by=member.id)
    world.pass_time(days=5)
    assert world.out.taken(made.id) == {}
    world.check()


def test_a_refused_payout_gives_the_money_back_and_says_so(world: worlds.World) -> None:
    member = rich(world, 600, mail="closed@one.example")
    PayoutAccount.objects.filter(member=member).update(account="acct_gone")
    made = wallet.pay_out(member=member.id, amount=make.usd(500))
    world.pass_time(days=5)
    made.refresh_from_db()
    assert (made.state, lies(member)) == ("refused", (60_000, 0))
    assert Hold.objects.get().state == "voided"
    assert Notice.objects.filter(kind="wallet_payout_back", about=made.id).count() == 1
    assert Notice.objects.filter(kind="payout_refused").count() == 0
    world.check()


@pytest.mark.parametrize("kind", ["lost", "silent", "error", "error_after"])
def test_an_unknown_payout_is_asked_about_and_leaves_once(world: worlds.World, kind: str) -> None:
    member = rich(world, 600)
    made = wallet.pay_out(member=member.id, amount=make.usd(500))
    test_outside.impatient(world)
    test_outside.plan(world, "transfers.create", kind, seconds=0.8)
    world.pass_time(days=5)
    test_outside.forgetting(world, kind)
    worlds.until(lambda: world.drain(hurry=True) == 0 and lies(member)[1] == 0)
    world.install()
    assert world.out.taken(made.id) == {"transfer": -50_000}
    world.check()


def test_nothing_leaves_within_thirty_days_of_a_changed_address(world: worlds.World) -> None:
    member = rich(world, 600)
    member.security_changed_at = world.now()
    member.save()
    with pytest.raises(HandleLocked):
        wallet.pay_out(member=member.id, amount=make.usd(5))
    world.step(31 * 86_400)
    wallet.pay_out(member=member.id, amount=make.usd(5))


def test_without_an_account_to_be_paid_to_nothing_is_ordered(world: worlds.World) -> None:
    member = rich(world, 600)
    PayoutAccount.objects.filter(member=member).delete()
    with pytest.raises(NotLinked):
        wallet.pay_out(member=member.id, amount=make.usd(5))
    assert lies(member) == (60_000, 0)


# ---- the provider's list


def test_the_providers_list_and_the_books_agree_on_deposits_and_payouts(
    world: worlds.World,
) -> None:
    member = rich(world, 600)
    wallet.pay_out(member=member.id, amount=make.usd(500))
    _, sale = sold_to(world, member, price=50)
    wallet.pay(sale_id=sale, by=member.id)
    world.pass_time(days=5)
    report = _compared(world)
    mine = [one for one in report.differences if one.sale != "own_funds"]
    assert mine == []
    assert {key[1] for key in report.days} >= {"charge", "transfer"}


def _compared(world: worlds.World) -> Any:
    from datetime import timedelta

    until = world.now() + timedelta(days=1)
    since = until - timedelta(days=35)
    theirs = world.out.payments().lines(since=int(since.timestamp()), until=int(until.timestamp()))
    assert theirs is not None
    ours = {*Deposit.objects.values_list("id", flat=True), *_payouts()}
    return compared.compared(
        "demo",
        provider="stripe",
        theirs=[line for line in theirs if line.sale in ours],
        since=since,
        until=until,
    )


def _payouts() -> set[str]:
    return {row.about for row in Payout.objects.all()}


def test_a_chargeback_of_a_deposit_that_nobody_told_of_is_asked_about(
    world: worlds.World,
) -> None:
    member, _, _ = world.member()
    made = put(world, member, 300)
    assert world.out.provider.pull("/demo/disputes", payment_intent=made.provider_id).ok
    reconcile.write(namespace="demo", provider="stripe", report=_compared(world))
    world.drain(hurry=True)
    assert Chargeback.objects.get().deposit_id == made.id
    assert Payment.objects.count() == 0
    world.check()
