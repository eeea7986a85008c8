"""What banks took after it was shared out: undone to the part, met later, or given up by two."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.flows import meeting
from tests.flows import test_payout as pages
from tests.flows.test_chargeback import (
    claim,
    cooling,
    end,
    inspected,
    intent,
    paid_out,
    row,
    settled,
    take,
    tell,
)

from onym.core.errors import AlreadyClosed, NotAllowed, SecondPersonNeeded
from onym.core.sale import PayoutState
from onym.flows import chargeback, desk, dispute, ledger, recovery, settlement
from onym.flows import sale as sales
from onym.ports.payments import Chargeback as Told
from onym.queries import audit
from onym.store.models import Chargeback, Payment, Payout, Posting, Recovery, Sale


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    made = worlds.market(settings)
    made.out.own_funds()
    return made


def part_lost(world: worlds.World, sale: str, minor: int) -> None:
    """The bank takes a part of the payment back, and leaves it with the buyer."""
    made = world.out.provider.pull("/demo/disputes", payment_intent=intent(sale), amount=str(minor))
    assert made.ok, made.text
    tell(world, sale)
    end(world, sale, str(made.json()["id"]), "lost")


def lies(code: str) -> int:
    return sum(Posting.objects.filter(account__code=code).values_list("minor", flat=True))


def checked(world: worlds.World) -> None:
    world.check_books()
    world.audit()


def test_a_part_lost_before_the_payout_is_taken_off_it_and_the_sale_stays(
    world: worlds.World,
) -> None:
    way, sale = settled(world)
    part_lost(world, sale, 10_000)
    assert claim() == -10_000
    world.pass_time(days=4)
    out = Payout.objects.get(sale_id=sale)
    assert (out.state, out.amount_minor, out.recovered_minor) == ("done", 60_000, 10_000)
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": -10_000, "transfer": -50_000}
    assert (row(sale).state, claim()) == ("settled", 0)
    assert world.holds(way.handle) == row(sale).buyer_account_id
    checked(world)


def test_a_part_lost_in_escrow_waits_for_the_settlement(world: worlds.World) -> None:
    way = ways.trade(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    part_lost(world, sale, 10_000)
    world.pass_time(days=9)
    assert Payout.objects.get(sale_id=sale).recovered_minor == 10_000
    assert (row(sale).state, claim()) == ("settled", 0)
    checked(world)


@pytest.mark.parametrize("after", [False, True])
def test_a_part_of_a_sale_of_the_house_is_its_own_loss_of_revenue(
    world: worlds.World, *, after: bool
) -> None:
    way = ways.primary(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    if after:
        way.accept(sale)
        world.drain(hurry=True)
    part_lost(world, sale, 10_000)
    world.pass_time(days=4)
    assert (row(sale).state, claim(), lies("revenue:primary")) == ("settled", 0, 30_000)
    checked(world)


def second_sale(world: worlds.World, seller: Any, price: float = 400) -> str:
    """Another trade of the same seller, up to the payout."""
    account, handle = world.account()
    worlds.link(world, seller, account)
    make.handle(world.place, handle, account_id=account)
    way = ways.Way("offer", world, handle, world.member()[0], seller, make.usd(price))
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    way.accept(sale)
    world.drain(hurry=True)
    return sale


def test_a_loss_after_the_payout_is_met_by_the_sellers_later_proceeds(
    world: worlds.World,
) -> None:
    way, sale = paid_out(world)
    end(world, sale, take(world, sale), "lost")
    assert claim() == -63_000
    first = second_sale(world, way.seller)
    world.pass_time(days=4)
    out = Payout.objects.get(sale_id=first)
    assert (out.state, out.reason, out.recovered_minor) == ("withheld", "recovered", 40_000)
    second = second_sale(world, way.seller)
    world.pass_time(days=4)
    rest = Payout.objects.get(sale_id=second)
    assert (rest.state, rest.recovered_minor) == ("done", 20_000)
    assert world.out.taken(second)["transfer"] == -20_000
    # The seller owes the proceeds of that sale; the commission was the house's.
    assert claim() == -3_000
    assert Recovery.objects.count() == 2
    checked(world)


def lost(world: worlds.World) -> Chargeback:
    _, sale = paid_out(world)
    end(world, sale, take(world, sale), "lost")
    return Chargeback.objects.get()


def test_a_claim_is_given_up_by_two_people(world: worlds.World) -> None:
    found = lost(world)
    one, two = world.team
    with pytest.raises(NotAllowed):
        recovery.propose_write_off(
            chargeback_id=found.id, by=make.member(world.place, roles="auditor").id
        )
    asked = recovery.propose_write_off(chargeback_id=found.id, by=one.id)
    assert claim() == -63_000
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=asked.id, by=one.id, shown=asked.shown)
    told = desk.approve(approval_id=asked.id, by=two.id, shown=asked.shown)
    assert told == {"id": found.id, "written_off": {"minor": 63_000, "currency": "USD"}}
    assert (claim(), lies("loss")) == (0, -63_000)
    with pytest.raises(AlreadyClosed):
        recovery.propose_write_off(chargeback_id=found.id, by=one.id)
    checked(world)


def test_what_was_given_up_is_not_taken_from_later_proceeds(world: worlds.World) -> None:
    found = lost(world)
    one, two = world.team
    asked = recovery.propose_write_off(chargeback_id=found.id, by=one.id)
    desk.approve(approval_id=asked.id, by=two.id, shown=asked.shown)
    later = second_sale(world, Sale.objects.get(pk=found.sale_id).seller)
    world.pass_time(days=4)
    assert Payout.objects.get(sale_id=later).recovered_minor == 0
    assert world.out.taken(later)["transfer"] == -40_000
    checked(world)


@pytest.mark.parametrize("many", [False, True])
def test_what_is_given_up_meanwhile_is_not_met_again_by_a_settlement(
    world: worlds.World, *, many: bool
) -> None:
    way = ways.primary(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    part_lost(world, sale, 10_000)
    one, two = world.team
    asked = recovery.propose_write_off(chargeback_id=Chargeback.objects.get().id, by=one.id)
    Sale.objects.update(inspection_until=world.now())
    settle = partial(settlement.inspected_all, sale_ids=[sale])
    with transaction.atomic():
        desk.approve(approval_id=asked.id, by=two.id, shown=asked.shown)
        other = meeting.begin(settle if many else partial(way.accept, sale))
        meeting.it_waits()
    assert other.result(timeout=20) == "done"
    assert (row(sale).state, claim(), lies("revenue:primary")) == ("settled", 0, 40_000)
    found = Chargeback.objects.get()
    assert (found.written_off_minor, found.recovered_minor) == (10_000, 0)
    checked(world)


def lost_without_what_follows(world: worlds.World, sale: str) -> Chargeback:
    """Lost before the payout left, and nobody has followed the bank's word so far."""
    taken = take(world, sale)
    assert world.out.provider.pull(f"/demo/disputes/{taken}/end", outcome="lost").ok
    told = Told(taken, "lost", make.usd(630))
    chargeback.record_all(sale_id=sale, provider="stripe", told=[told])
    return Chargeback.objects.get()


@pytest.mark.parametrize("meanwhile", [False, True])
def test_what_was_given_up_is_no_loss_once_the_money_lies_in_escrow_again(
    world: worlds.World, *, meanwhile: bool
) -> None:
    found = lost_without_what_follows(world, settled(world)[1])
    one, two = world.team
    asked = recovery.propose_write_off(chargeback_id=found.id, by=one.id)
    with transaction.atomic():
        desk.approve(approval_id=asked.id, by=two.id, shown=asked.shown)
        assert lies("loss") == -63_000
        if meanwhile:
            other = meeting.begin(partial(chargeback.follow, sale_id=str(found.sale_id)))
            meeting.it_waits()
    if meanwhile:
        assert other.result(timeout=20) == "done"
    world.drain(hurry=True)
    assert row(str(found.sale_id)).state == "refunded"
    assert (claim(), lies("loss")) == (0, 0)
    checked(world)


def test_a_claim_that_other_proceeds_have_begun_to_meet_stands(world: worlds.World) -> None:
    way, sale = settled(world)
    other = Payout.objects.get(sale_id=second_sale(world, way.seller))
    Payout.objects.filter(pk=other.id).update(due_at=world.now())
    found = lost_without_what_follows(world, sale)
    ledger.pay_out(payout_id=other.id)
    found.refresh_from_db()
    assert found.recovered_minor == 40_000
    world.drain(hurry=True)
    assert (row(sale).state, claim()) == ("settled", -23_000)
    world.pass_time(days=4)
    found.refresh_from_db()
    assert (found.recovered_minor, claim()) == (60_000, -3_000)
    checked(world)


def a_refund_of_the_rest(world: worlds.World, sale: str) -> None:
    """The bank has given a part, the market has given what was left, and nothing lies anywhere."""
    assert row(sale).state in ("refunded", "expired")
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": -10_000, "refund": -53_000}
    assert Payment.objects.get(sale_id=sale, kind="refund", state="done").amount_minor == 53_000
    assert (claim(), lies(f"escrow:{sale}")) == (0, 0)
    world.check(sale)
    checked(world)


def test_a_sale_that_is_cancelled_after_a_part_was_lost_gives_the_rest_back(
    world: worlds.World,
) -> None:
    way, sale = cooling(world)
    part_lost(world, sale, 10_000)
    sales.cancel(sale_id=sale, by=way.seller.id)
    assert not broken(sale), "its job is waiting"
    world.drain(hurry=True)
    a_refund_of_the_rest(world, sale)


def test_a_refund_that_nobody_follows_is_seen_by_the_audit(world: worlds.World) -> None:
    way, sale = cooling(world)
    part_lost(world, sale, 10_000)
    sales.cancel(sale_id=sale, by=way.seller.id)
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs where task_name = 'chargeback.follow'")
    assert broken(sale)


def broken(sale: str) -> bool:
    found = next(check for check in audit.look() if check.id == "L9")
    return sale in found.first


def test_a_dispute_after_a_part_was_lost_may_be_settled(world: worlds.World) -> None:
    way, sale = inspected(world)
    part_lost(world, sale, 10_000)
    sales.dispute(sale_id=sale, by=way.buyer.id)
    dispute.decide(sale_id=sale, by=make.member(world.place, roles="reviewer").id, outcome="settle")
    world.pass_time(days=4)
    assert (row(sale).state, claim()) == ("settled", 0)
    assert Payout.objects.get(sale_id=sale).recovered_minor == 10_000
    checked(world)


def test_a_dispute_after_a_part_was_lost_may_bring_the_handle_back(world: worlds.World) -> None:
    way, sale = inspected(world)
    part_lost(world, sale, 10_000)
    sales.dispute(sale_id=sale, by=way.buyer.id)
    dispute.decide(sale_id=sale, by=make.member(world.place, roles="reviewer").id, outcome="return")
    world.drain(hurry=True)
    a_refund_of_the_rest(world, sale)


def test_a_part_that_was_given_up_is_no_loss_once_the_sale_is_refunded(world: worlds.World) -> None:
    way, sale = cooling(world)
    part_lost(world, sale, 10_000)
    one, two = world.team
    asked = recovery.propose_write_off(chargeback_id=Chargeback.objects.get().id, by=one.id)
    desk.approve(approval_id=asked.id, by=two.id, shown=asked.shown)
    sales.cancel(sale_id=sale, by=way.seller.id)
    world.drain(hurry=True)
    assert lies("loss") == 0
    a_refund_of_the_rest(world, sale)


def test_proceeds_that_may_have_left_are_waited_for_before_other_proceeds_meet_their_claim(
    world: worlds.World,
) -> None:
    """Else the handle could not be taken back when they turn out not to have left."""
    way, sale = settled(world)
    other = Payout.objects.get(sale_id=second_sale(world, way.seller))
    Payout.objects.filter(pk=other.id).update(due_at=world.now())
    Payout.objects.filter(sale_id=sale).update(state="unknown")
    lost_without_what_follows(world, sale)
    ledger.pay_out(payout_id=other.id)
    other.refresh_from_db()
    assert other.recovered_minor == 0
    own = Payout.objects.get(sale_id=sale)
    ledger.record_payout(
        payout_id=own.id,
        state=PayoutState.REFUSED,
        provider="stripe",
        provider_id=None,
        reason="no",
    )
    world.drain(hurry=True)
    assert (row(sale).state, claim()) == ("refunded", 0)
    assert world.holds(way.handle) == row(sale).seller_account_id
    checked(world)


def test_the_desk_sees_what_is_left_and_proposes_to_give_it_up(world: worlds.World) -> None:
    found = lost(world)
    client = pages.browser(make.member(world.place, roles="curator"))
    page = client.get("/en/desk/overview").content.decode()
    assert found.id in page
    assert "630.00" in page
    form = {"do": "write_off", "about": found.id, "key": "give-it-up-now"}
    assert client.post("/en/desk/overview", form).status_code in (302, 303)
    queue = client.get("/en/desk/?kind=approval").content.decode()
    assert "the house bears the loss" in queue
    looking = pages.browser(make.member(world.place, roles="auditor"))
    assert 'value="write_off"' not in looking.get("/en/desk/overview").content.decode()
