"""The buyer's bank takes the money back, before and after the handle and the proceeds have gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests import make
from tests import world as worlds
from tests.faults import test_outside, ways
from tests.faults.ways import Way
from tests.flows import test_payout as pages

from onym.core.errors import InProgress, NotAllowed
from onym.core.sale import PaymentState
from onym.flows import chargeback, dispute, inbox, payments
from onym.flows import sale as sales
from onym.ports.payments import Chargeback as Told
from onym.ports.payments import Webhook
from onym.queries import audit
from onym.store import ids
from onym.store.models import (
    Chargeback,
    Event,
    Handle,
    Notice,
    Payment,
    Payout,
    Posting,
    ProviderEvent,
    Sale,
)


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    made = worlds.market(settings)
    made.out.own_funds()
    return made


def intent(sale: str) -> str:
    return str(Payment.objects.get(sale_id=sale, kind="charge", state="paid").provider_id)


def take(world: worlds.World, sale: str, *, told: bool = True) -> str:
    """The bank takes the payment back; a webhook tells of it. The dispute's id."""
    made = world.out.provider.pull("/demo/disputes", payment_intent=intent(sale))
    assert made.ok, made.text
    if told:
        tell(world, sale)
    return str(made.json()["id"])


def end(world: worlds.World, sale: str, taken: str, outcome: str) -> None:
    assert world.out.provider.pull(f"/demo/disputes/{taken}/end", outcome=outcome).ok
    tell(world, sale)


def tell(world: worlds.World, sale: str, kind: str = "charge.dispute.created") -> None:
    """As the provider's dispute objects do: they name the payment and no sale."""
    hint = Webhook(ids.new("evt"), kind, intent_id=intent(sale))
    inbox.payment_hint(namespace="demo", provider="stripe", hint=hint)
    world.drain(hurry=True)


def row(sale: str) -> Sale:
    return Sale.objects.get(pk=sale)


def claim() -> int:
    """What others owe the house; negative in the books while they do."""
    found = Posting.objects.filter(account__code="receivable").values_list("minor", flat=True)
    return sum(found)


def cooling(world: worlds.World) -> tuple[Way, str]:
    way = ways.trade(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    assert row(sale).state == "cooling"
    return way, sale


def inspected(world: worlds.World) -> tuple[Way, str]:
    way, sale = cooling(world)
    world.pass_time(days=1.1)
    assert row(sale).state == "inspection"
    return way, sale


def settled(world: worlds.World) -> tuple[Way, str]:
    way, sale = inspected(world)
    way.accept(sale)
    world.drain(hurry=True)
    assert Payout.objects.get(sale_id=sale).state == "due"
    return way, sale


def paid_out(world: worlds.World) -> tuple[Way, str]:
    way, sale = settled(world)
    world.pass_time(days=3.1)
    assert Payout.objects.get(sale_id=sale).state == "done"
    return way, sale


Stage = Callable[[worlds.World], tuple[Way, str]]
BEFORE: list[Stage] = [cooling, inspected]
STAGES: list[Stage] = [cooling, inspected, settled, paid_out]


@pytest.mark.parametrize("stage", STAGES)
def test_an_open_chargeback_is_booked_once_and_everybody_is_told(
    world: worlds.World, stage: Stage
) -> None:
    _, sale = stage(world)
    before = row(sale).state
    taken = take(world, sale)
    for _ in range(3):
        tell(world, sale)
    found = Chargeback.objects.get()
    assert (found.provider_id, found.status, found.amount_minor) == (taken, "open", 63_000)
    assert (row(sale).state, row(sale).frozen) == (before, True)
    assert claim() == (0 if stage in BEFORE else -63_000)
    told = Notice.objects.filter(kind="chargeback_opened", about=sale)
    ways = sorted(told.values_list("channel", flat=True))
    assert ways == ["mail", "platform"]  # the seller reads mail, the buyer has no address here
    assert not Event.objects.filter(ref=sale, type="SaleClosed").exists()
    world.check(sale)


def test_a_frozen_sale_does_not_move_whatever_its_clocks_and_parties_say(
    world: worlds.World,
) -> None:
    way, sale = cooling(world)
    take(world, sale)
    with pytest.raises(InProgress):
        sales.cancel(sale_id=sale, by=way.seller.id)
    world.pass_time(days=5)
    assert row(sale).state == "cooling"
    assert world.holds(way.handle) == row(sale).seller_account_id
    world.check(sale)


def test_a_frozen_inspection_neither_ends_by_itself_nor_by_its_buyer(world: worlds.World) -> None:
    way, sale = inspected(world)
    take(world, sale)
    with pytest.raises(InProgress):
        sales.accept(sale_id=sale, by=way.buyer.id)
    world.pass_time(days=5)
    assert row(sale).state == "inspection"
    world.check(sale)


def test_frozen_proceeds_are_not_paid_out_and_the_handle_is_not_sold_on(
    world: worlds.World,
) -> None:
    way, sale = settled(world)
    take(world, sale)
    assert Handle.objects.get(handle=way.handle).dispute_open
    world.pass_time(days=10)
    assert Payout.objects.get(sale_id=sale).state == "due"
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": -63_000}
    world.check(sale)


@pytest.mark.parametrize("stage", STAGES)
def test_a_chargeback_that_is_won_lets_the_sale_go_on_to_its_end(
    world: worlds.World, stage: Stage
) -> None:
    way, sale = stage(world)
    taken = take(world, sale)
    world.pass_time(days=6)
    end(world, sale, taken, "won")
    assert not row(sale).frozen
    world.pass_time(days=10)
    assert row(sale).state == "settled"
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": 0, "transfer": -60_000}
    assert claim() == 0
    assert not Handle.objects.get(handle=way.handle).dispute_open
    world.check(sale)


@pytest.mark.parametrize("stage", [cooling, inspected, settled])
def test_one_that_is_lost_before_the_payout_brings_the_handle_back_and_pays_nobody(
    world: worlds.World, stage: Stage
) -> None:
    way, sale = stage(world)
    taken = take(world, sale)
    end(world, sale, taken, "lost")
    world.pass_time(days=12)
    assert (row(sale).state, row(sale).why) == ("refunded", "charged_back")
    assert world.holds(way.handle) == row(sale).seller_account_id
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": -63_000}
    assert claim() == 0
    payout = Payout.objects.filter(sale_id=sale).first()
    assert payout is None or payout.state == "withheld"
    closed = Event.objects.get(ref=sale, type="SaleClosed")
    assert json.loads(bytes(closed.entry))["body"]["outcome"] == "disputed"
    world.check(sale)


def test_one_that_is_lost_after_the_payout_is_a_claim_of_the_house(world: worlds.World) -> None:
    way, sale = paid_out(world)
    taken = take(world, sale)
    end(world, sale, taken, "lost")
    world.pass_time(days=12)
    assert row(sale).state == "settled"
    assert world.holds(way.handle) == row(sale).buyer_account_id
    assert claim() == -63_000
    assert Event.objects.filter(ref=sale, type="SaleClosed").count() == 1
    world.check(sale)


def test_a_sale_of_the_house_that_is_lost_brings_the_handle_back_to_the_stock(
    world: worlds.World,
) -> None:
    way = ways.primary(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    way.accept(sale)
    world.drain(hurry=True)
    taken = take(world, sale)
    end(world, sale, taken, "lost")
    world.pass_time(days=2)
    assert row(sale).state == "refunded"
    assert world.holds(way.handle) == world.place.custodian_account_id
    assert claim() == 0
    world.check(sale)


def test_a_bank_that_takes_money_that_is_on_its_way_back_is_followed(world: worlds.World) -> None:
    """The refund is refused, as the bank has the money; when the bank gives it back, it leaves."""
    way, sale = cooling(world)
    taken = take(world, sale, told=False)
    sales.cancel(sale_id=sale, by=way.seller.id)
    world.drain(hurry=True)
    assert row(sale).state == "refunding"
    assert Payment.objects.get(sale_id=sale, kind="refund").state == "refused"
    tell(world, sale)
    end(world, sale, taken, "won")
    assert row(sale).state == "refunded"
    assert world.out.taken(sale) == {"charge": 63_000, "dispute": 0, "refund": -63_000}
    world.check(sale)


DONE, REFUSED = PaymentState.DONE, PaymentState.REFUSED
ANSWERS = [
    # the sale, what became of the refund, what is lost at last, how the sale ends
    ("refunding", DONE, -63_000, "refunded"),
    ("refunding", REFUSED, 0, "refunded"),
    ("expired", REFUSED, 0, "expired"),
]


@pytest.mark.parametrize(("state", "answer", "owed", "ending"), ANSWERS)
def test_money_that_a_bank_takes_while_a_refund_may_have_left_is_a_claim_until_that_is_known(
    world: worlds.World, state: str, answer: PaymentState, owed: int, ending: str
) -> None:
    way, sale = cooling(world)
    sales.cancel(sale_id=sale, by=way.seller.id)
    Sale.objects.filter(pk=sale).update(state=state)
    refund = Payment.objects.get(sale_id=sale, kind="refund")
    said = partial(payments.record_refund, payment_id=refund.id, provider="stripe")
    said(state=PaymentState.UNKNOWN, provider_id=None)
    lost = [Told("dp_both", "lost", make.usd(630))]
    chargeback.record_all(sale_id=sale, provider="stripe", told=lost)
    assert chargeback.follow(sale_id=sale)
    assert (escrow(sale), claim(), row(sale).state) == (63_000, -63_000, state)
    said(state=answer, provider_id="re_both")
    world.drain(hurry=True)
    assert (escrow(sale), claim(), row(sale).state) == (0, owed, ending)
    assert "L9" not in [one.id for one in audit.look() if one.verdict is audit.Verdict.VIOLATED]


def escrow(sale: str) -> int:
    found = Posting.objects.filter(account__code=f"escrow:{sale}").values_list("minor", flat=True)
    return sum(found)


def another_sale(world: worlds.World, way: Way, **state: Any) -> Sale:
    """A later one of the same handle."""
    made = row(Sale.objects.get(handle__handle=way.handle).id)
    made.id, made.state, made.frozen = ids.new("sal"), "settled", False
    for name, value in state.items():
        setattr(made, name, value)
    made.save(force_insert=True)
    return made


STILL = [({"state": "disputed"}, True), ({"frozen": True}, True), ({}, False)]


@pytest.mark.parametrize(("other", "held"), STILL)
def test_a_handle_stays_where_it_is_while_another_sale_of_it_is_disputed_or_frozen(
    world: worlds.World, other: dict[str, Any], *, held: bool
) -> None:
    way, sale = settled(world)
    taken = take(world, sale)
    another_sale(world, way, **other)
    assert world.out.provider.pull(f"/demo/disputes/{taken}/end", outcome="won").ok
    won = [Told(taken, "won", make.usd(630))]
    chargeback.record_all(sale_id=sale, provider="stripe", told=won)
    assert not row(sale).frozen
    assert Handle.objects.get(handle=way.handle).dispute_open is held


def test_a_chargeback_known_only_when_it_is_lost_is_booked_and_followed_at_once(
    world: worlds.World,
) -> None:
    """The webhooks came days late, the last one alone."""
    way, sale = inspected(world)
    taken = take(world, sale, told=False)
    end(world, sale, taken, "lost")
    world.pass_time(days=1)
    assert row(sale).state == "refunded"
    assert world.holds(way.handle) == row(sale).seller_account_id
    world.check(sale)


def test_the_desk_may_not_decide_over_the_banks_head(world: worlds.World) -> None:
    way, sale = inspected(world)
    sales.dispute(sale_id=sale, by=way.buyer.id)
    judge = make.member(world.place, roles="reviewer")
    taken = take(world, sale)
    with pytest.raises(InProgress):
        dispute.decide(sale_id=sale, by=judge.id, outcome="settle")
    world.out.plaza.arm("error", on="move", times=1000)
    end(world, sale, taken, "lost")
    with pytest.raises((NotAllowed, InProgress)):
        dispute.decide(sale_id=sale, by=judge.id, outcome="settle")
    world.out.calm()
    test_outside.until_state(world, sale, "refunded")
    world.check(sale)


def test_a_webhook_that_tells_of_a_chargeback_that_is_none_changes_nothing(
    world: worlds.World,
) -> None:
    _, sale = cooling(world)
    tell(world, sale)
    assert not Chargeback.objects.exists()
    assert not row(sale).frozen
    assert ProviderEvent.objects.get().outcome == "asked"
    world.check(sale)


def test_a_provider_that_is_silent_about_chargebacks_is_asked_again(world: worlds.World) -> None:
    _, sale = cooling(world)
    test_outside.plan(world, "disputes.list", "silent", times=2)
    take(world, sale)
    assert Chargeback.objects.get().status == "open"
    world.check(sale)


def test_the_desk_sees_what_the_bank_decides_about_and_what_is_owed(world: worlds.World) -> None:
    _, sale = paid_out(world)
    taken = take(world, sale)
    client = pages.browser(make.member(world.place, roles="auditor"))
    queue = client.get("/en/desk/?kind=chargeback").content.decode()
    assert taken in queue
    assert "630.00" in queue
    assert "630.00" in client.get("/en/desk/overview").content.decode()
    end(world, sale, taken, "won")
    assert taken not in client.get("/en/desk/").content.decode()


def test_the_sales_page_says_why_nothing_moves(world: worlds.World) -> None:
    way, sale = inspected(world)
    client = pages.browser(way.buyer)
    before = client.get(f"/en/sales/{sale}").content.decode()
    take(world, sale)
    after = client.get(f"/en/sales/{sale}").content.decode()
    assert ("bank has taken" in before, "bank has taken" in after) == (False, True)
