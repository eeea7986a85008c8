"""Two connections race while a sale is undone: one wins, and the other is told why."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from typing import Any

import pytest
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.faults.test_races import Act, race, starts
from tests.faults.ways import Undoing

from onym.flows import appeal, listing, offer, transfer
from onym.store.models import Handle, Listing, Payment, Sale, Transfer

ROUNDS = 12


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def opened(way: Undoing) -> str:
    Handle.objects.filter(handle=way.handle).update(cool_off_until=None)
    made = appeal.open_(namespace="demo", handle=way.handle, by=way.holder.id, text="mine")
    return str(made.id)


def upholds(made: str, by: Any) -> Act:
    return lambda: appeal.decide(appeal_id=made, by=by.id, outcome="upheld")


def first_ones() -> list[tuple[float, float]]:
    return list(itertools.islice(starts(), ROUNDS))


def test_of_two_reviewers_one_decides_and_one_sale_is_undone_once(world: worlds.World) -> None:
    second = make.member(world.place, roles="reviewer")
    for waits in first_ones():
        way = ways.undoing(world)
        made = opened(way)
        went = race(upholds(made, way.staff), upholds(made, second), waits)
        assert sorted(said.code for said in went) == ["", "already_closed"]
        world.drain(hurry=True)
        assert Sale.objects.get(pk=way.sold).state == "refunded"
        assert Payment.objects.filter(sale_id=way.sold, kind="refund").count() == 1
        world.check_sale(way.sold)
    world.audit()


def test_the_buyer_sells_it_on_or_it_goes_back_and_never_both(world: worlds.World) -> None:
    orders: Counter[str] = Counter()
    third, _, _ = world.member()
    for waits in first_ones():
        way = ways.undoing(world)
        made = opened(way)
        bid = offer.make(namespace="demo", handle=way.handle, buyer=third.id, price=make.usd(400))
        sells = partial(offer.accept, offer_id=bid.id, by=way.buyer.id)
        decided, sold = race(upholds(made, way.staff), sells, waits)
        codes = [decided.code, sold.code]
        assert codes.count("") == 1, codes
        assert set(codes) <= {"", "handle_locked", "sale_slot_taken"}, codes
        live = Sale.objects.filter(handle__handle=way.handle, state__in=("returning", "funding"))
        assert live.count() == 1
        orders["undone" if decided.code == "" else "sold on"] += 1
        world.drain(hurry=True)
        world.check_books()
    assert len(orders) == 2, orders
    world.audit()


def test_a_listing_that_opens_meanwhile_ends_or_is_refused(world: worlds.World) -> None:
    orders: Counter[str] = Counter()
    for waits in first_ones():
        way = ways.undoing(world)
        made = opened(way)
        asked = {"namespace": "demo", "handle": way.handle, "price": make.usd(500)}
        lists = partial(listing.open_, **asked, seller=way.buyer.id)
        decided, listed = race(upholds(made, way.staff), lists, waits)
        assert decided.code == ""
        assert listed.code in ("", "handle_locked", "sale_slot_taken")
        assert not Listing.objects.filter(handle__handle=way.handle, state="open").exists()
        orders[listed.code] += 1
        world.drain(hurry=True)
        assert Sale.objects.get(pk=way.sold).state == "refunded"
        world.check_sale(way.sold)
    assert len(orders) >= 2, orders
    world.audit()


def test_a_last_look_and_the_end_of_its_time_undo_the_sale_or_leave_it(
    world: worlds.World,
) -> None:
    """A look in time undoes it, a later one does not, and the deadline beside it changes nothing:
    money and handle agree.
    """
    ends: Counter[str] = Counter()
    for number, waits in enumerate(first_ones()):
        way = ways.undoing(world)
        world.out.plaza.arm("error", on="reads", times=10_000)
        way.go()
        world.out.calm()
        order = Transfer.objects.get(sale_id=way.sold, to=way.account)
        buyer = Sale.objects.get(pk=way.sold).buyer_account_id
        world.step(24 * 3600 + (1 if number % 2 else -600))
        seen = {"holder": buyer, "last_seen": None, "vacated": None}
        looks = partial(transfer.look, transfer_id=order.id, **seen)
        over = partial(transfer.delivery_over, sale_id=way.sold)
        race(looks, over, waits)
        world.drain(hurry=True)
        sale = Sale.objects.get(pk=way.sold)
        held = way.account if sale.state == "refunded" else buyer
        assert world.holds(way.handle) == held == Handle.objects.get(handle=way.handle).account_id
        ends[sale.state] += 1
        world.check_books()
    assert set(ends) == {"refunded", "settled"}, ends
    world.audit()
