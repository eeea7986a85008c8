"""Appeals: they bar release and sale, and somebody who had no part in it decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests import make
from tests.flows import reclaiming
from tests.flows.reclaiming import Idle, Mailbox, World

from onym.core.errors import (
    AlreadyClosed,
    Expired,
    HandleLocked,
    HandleUnavailable,
    Malformed,
    NotAllowed,
    NotFound,
    Refusal,
    SecondPersonNeeded,
)
from onym.core.sale import PaymentState
from onym.core.transfer import State as TransferState
from onym.flows import appeal, listing, payments, reclaim, transfer
from onym.flows import sale as sale_flow
from onym.queries import reclaim as queries
from onym.store.models import Appeal, BookAccount, Handle, Payout, Posting, Reclaim, Sale

pytestmark = pytest.mark.usefixtures("database")
TEXT = "I was in hospital. Please let me keep it."


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


def after(world: World, days: float, **columns: Any) -> Idle:
    """An account whose holder was told so many days ago."""
    world.count += 1
    mail = f"{world.folder.name.replace('_', '-')[:30]}-{world.count}@appeal.example"
    sunset = world.idle(email=mail, **columns)
    world.adopt(sunset)
    world.go(days=0.05)
    world.go(days=days)
    return sunset


def reviewer(world: World) -> str:
    return str(world.team[2].id)


def opened(world: World, account: Idle) -> Appeal:
    return appeal.open_by_link(token=world.link(account), text=TEXT)


def decided(world: World, made: Appeal, outcome: str) -> Appeal:
    return appeal.decide(
        appeal_id=made.id, by=reviewer(world), outcome=outcome, reasons=["hospital"]
    )


def list_it(world: World, account: Idle) -> Any:
    return listing.open_house(
        namespace=world.place.id, handle=account.handle, by=world.team[0].id, price=make.usd(500)
    )


def sold(world: World, account: Idle) -> Sale:
    """The whole way of a primary sale, up to its settlement."""
    reclaim.prepare_sale(namespace=world.place.id, handle=account.handle)
    listed = list_it(world, account)
    buyer = make.member(world.place, account="buyer")
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    payment = payments.pay(sale_id=sale.id, by=buyer.id, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="stripe", provider_id="pi_1"
    )
    order = sale.transfer_set.get()
    seen = transfer.last_known(sale)
    transfer.look(transfer_id=order.id, holder=account.account_id, last_seen=seen, vacated=None)
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    transfer.record_read_back(transfer_id=order.id, holder="buyer")
    return sale_flow.accept(sale_id=sale.id, by=buyer.id)


def test_while_an_appeal_is_open_nothing_is_released(world: World) -> None:
    sunset = after(world, 40)
    made = opened(world, sunset)
    world.go(days=100)
    assert world.state(sunset) == "resting"
    with pytest.raises(HandleUnavailable):
        reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    told = queries.answer(namespace=world.place.id, handle=sunset.handle)
    assert told["stopped_by"] == ["appeal_open"]
    decided(world, made, "rejected")
    world.go(days=1)
    assert world.state(sunset) == "released"
    assert [leaf["outcome"] for leaf in world.leaves("AppealDecided")] == ["rejected"]


def test_an_appeal_takes_a_released_handle_off_the_market(world: World) -> None:
    sunset = after(world, 61)
    reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    listed = list_it(world, sunset)
    opened(world, sunset)
    with pytest.raises(AlreadyClosed):
        listing.buy(listing_id=listed.id, buyer=make.member(world.place, account="b").id)
    with pytest.raises(HandleLocked):
        list_it(world, sunset)
    assert world.state(sunset) == "resting"


def test_an_appeal_that_is_right_gives_the_handle_back(world: World) -> None:
    sunset = after(world, 61)
    made = decided(world, opened(world, sunset), "upheld")
    assert (made.state, made.remedy) == ("upheld", "restored")
    assert world.state(sunset) == "held"
    assert Reclaim.objects.get().ending == "upheld"
    assert Handle.objects.get().may_not_sell_until is None
    world.go(days=300)
    assert world.state(sunset) == "held"
    leaf = world.leaves("AppealDecided")[0]
    assert "evidence_commitment" in leaf
    assert TEXT not in str(leaf)
    world.work()
    subjects = [letter["subject"] for letter in world.box.letters(sunset.mail or "")]
    assert f"Decision about the handle {sunset.handle}" in subjects


@pytest.mark.parametrize(("days", "refused"), [(0, None), (209, None), (211, Expired)])
def test_an_appeal_is_possible_for_180_days_after_the_decision(
    world: World, days: float, refused: type[Refusal] | None
) -> None:
    sunset = after(world, days)
    if refused is None:
        assert opened(world, sunset).state == "open"
    else:
        with pytest.raises(refused):
            opened(world, sunset)


@pytest.mark.parametrize("text", ["", " \n", "x" * 4_001])
def test_an_appeal_has_words(world: World, text: str) -> None:
    sunset = after(world, 1)
    with pytest.raises(Malformed):
        appeal.open_by_link(token=world.link(sunset), text=text)


def test_only_the_account_that_held_it_appeals_and_once(world: World) -> None:
    sunset = after(world, 1)
    holder = make.member(world.place, account=sunset.account_id, mail="holder@appeal.example")
    other = make.member(world.place, account="another")
    place, handle = world.place.id, sunset.handle
    with pytest.raises(NotAllowed):
        appeal.open_(namespace=place, handle=handle, by=other.id, text=TEXT)
    with pytest.raises(NotFound):
        appeal.open_by_link(token="forged", text=TEXT)
    appeal.open_(namespace=place, handle=handle, by=holder.id, text=TEXT)
    with pytest.raises(AlreadyClosed):
        appeal.open_(namespace=place, handle=handle, by=holder.id, text=TEXT)
    active = make.handle(world.place, "active", account_id="a1")
    owner = make.member(world.place, account="a1")
    with pytest.raises(NotFound):
        appeal.open_(namespace=place, handle=active.handle, by=owner.id, text=TEXT)


def test_the_text_is_nowhere_in_clear(world: World) -> None:
    made = opened(world, after(world, 1))
    assert TEXT.encode() not in bytes(made.text_sealed)
    assert Appeal.objects.get().text == TEXT


def test_whoever_decided_before_does_not_decide_again(world: World) -> None:
    made = opened(world, after(world, 1, followers=10_000))
    for person in world.team[:2]:  # one proposed the plan, the other approved it
        with pytest.raises(SecondPersonNeeded):
            appeal.decide(appeal_id=made.id, by=person.id, outcome="rejected")
    nobody = make.member(world.place)
    with pytest.raises(NotAllowed):
        appeal.decide(appeal_id=made.id, by=nobody.id, outcome="rejected")
    with pytest.raises(Malformed):
        appeal.decide(appeal_id=made.id, by=reviewer(world), outcome="perhaps")
    decided(world, made, "rejected")
    with pytest.raises(AlreadyClosed):
        decided(world, made, "upheld")


def test_a_second_appeal_is_decided_by_a_third_person(world: World) -> None:
    sunset = after(world, 1)
    decided(world, opened(world, sunset), "rejected")
    again = opened(world, sunset)
    with pytest.raises(SecondPersonNeeded):
        decided(world, again, "upheld")
    third = make.member(world.place, roles="reviewer")
    appeal.decide(appeal_id=again.id, by=third.id, outcome="upheld")
    assert world.state(sunset) == "held"


def test_the_holder_may_keep_while_the_appeal_is_open(world: World) -> None:
    sunset = after(world, 40)
    made = opened(world, sunset)
    reclaim.keep_by_link(token=world.link(sunset))
    assert world.state(sunset) == "held"
    assert not Handle.objects.get().appeal_open
    with pytest.raises(AlreadyClosed):
        decided(world, made, "rejected")
    with pytest.raises(AlreadyClosed):
        opened(world, sunset)


def test_upheld_after_the_sale_a_part_of_the_price_is_the_holders(world: World) -> None:
    sunset = after(world, 61)
    holder = make.member(world.place, account=sunset.account_id, mail="holder@appeal.example")
    sale = sold(world, sunset)
    made = opened(world, sunset)
    assert not Handle.objects.get().appeal_open  # the buyer holds it undisturbed
    upheld = decided(world, made, "upheld")
    assert (upheld.remedy, upheld.compensation_minor) == ("compensate", sale.proceeds_minor // 2)
    account = BookAccount.objects.get(code=f"member:{holder.id}:payable")
    assert account.balance_minor == sale.proceeds_minor // 2
    assert Payout.objects.get().amount_minor == sale.proceeds_minor // 2
    assert sum(Posting.objects.values_list("minor", flat=True)) == 0
    assert Handle.objects.get(handle=sale.handle.handle).account_id == "buyer"


def test_a_holder_who_never_signed_in_is_compensated_as_well(world: World) -> None:
    sunset = after(world, 61)
    sale = sold(world, sunset)
    decided(world, opened(world, sunset), "upheld")
    aside = Posting.objects.get(account__code="suspense")
    assert aside.minor == sale.proceeds_minor // 2
    assert not Payout.objects.exists()


def opened_in_escrow(world: World, account: Idle) -> Appeal:
    """An appeal that comes when the buyer has paid."""
    reclaim.prepare_sale(namespace=world.place.id, handle=account.handle)
    buyer = make.member(world.place, account="buyer")
    sale = listing.buy(listing_id=list_it(world, account).id, buyer=buyer.id)
    payment = payments.pay(sale_id=sale.id, by=buyer.id, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="stripe", provider_id="pi_2"
    )
    return opened(world, account)


def test_while_money_is_in_escrow_an_appeal_is_heard_but_decided_later(world: World) -> None:
    made = opened_in_escrow(world, after(world, 61))
    sale = Sale.objects.get()
    assert sale.state == "delivering"
    for outcome in ("upheld", "rejected"):
        with pytest.raises(HandleLocked):
            decided(world, made, outcome)
    order = sale.transfer_set.get()
    transfer.look(transfer_id=order.id, holder="somebody", last_seen=None, vacated=None)
    assert Sale.objects.get().state == "refunding"


def test_before_the_sale_is_settled_nothing_is_decided_about_its_price(world: World) -> None:
    sunset = after(world, 61)
    made = opened_in_escrow(world, sunset)
    sale = Sale.objects.get()
    order = sale.transfer_set.get()
    transfer.look(
        transfer_id=order.id,
        holder=sunset.account_id,
        last_seen=transfer.last_known(sale),
        vacated=None,
    )
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    transfer.record_read_back(transfer_id=order.id, holder="buyer")
    assert Sale.objects.get().state == "inspection"
    with pytest.raises(HandleLocked):
        decided(world, made, "upheld")
    sale_flow.accept(sale_id=sale.id, by=sale.buyer_id)
    upheld = decided(world, made, "upheld")
    assert upheld.compensation_minor == sale.proceeds_minor // 2


def test_a_handle_that_went_elsewhere_without_a_price_is_waited_for(world: World) -> None:
    sunset = after(world, 61)
    world.touch(sunset)
    Handle.objects.update(account_id="somebody", state="held")
    made = decided(world, opened(world, sunset), "upheld")
    assert (made.remedy, made.compensation_minor) == ("wait", 0)


def test_a_retired_handle_may_be_won_back(world: World) -> None:
    world.count += 1
    famous = world.idle(email=f"famous-{world.count}@appeal.example", inbound_refs=20_000)
    world.adopt(famous, verdict="retire", resting_days=None)
    world.go(days=40)
    assert world.state(famous) == "retired"
    decided(world, opened(world, famous), "upheld")
    assert world.state(famous) == "held"
