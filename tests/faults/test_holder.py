"""The holder comes back on the real platform: around the deadline, and around the money."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests import make
from tests import world as worlds
from tests.faults.handing import Port
from tests.flows import reclaiming
from tests.flows.reclaiming import Idle

from onym.flows import listing, payments, reclaim
from onym.store.models import Handle, Sale, Transfer


@pytest.fixture
def stock(database: str, settings: Any, tmp_path: Any) -> reclaiming.World:
    out = worlds.outside()
    out.calm()
    settings.LOG_ORIGIN = "test/log"
    box = reclaiming.Mailbox(out.mailbox, out.smtp)
    return reclaiming.world(
        tmp_path,
        out.plaza,
        box,
        settings,
        custodian_account_id=out.platform().capabilities().custodian,
    )


def logs_in(stock: reclaiming.World, account: Idle) -> None:
    said = stock.plaza.program.pull("/demo/login", account_id=account.account_id)
    assert said.ok, said.text


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_login_around_the_deadline_keeps_the_handle_from_being_sold(
    stock: reclaiming.World, seconds: int
) -> None:
    """The deadline ends the warning, not the way back: resting is reversible."""
    account = stock.idle()
    stock.adopt(account)
    stock.go(days=0.1)
    deadline = stock.seen(account).standing.deadline_at
    assert deadline is not None
    stock.go(to=deadline + timedelta(seconds=seconds))
    assert stock.state(account) == ("warned" if seconds < 0 else "resting")
    logs_in(stock, account)
    stock.go(days=31)
    assert reclaim.prepare_sale(namespace="demo", handle=account.handle) == "held"
    assert Handle.objects.get(handle=account.handle).account_id == account.account_id


def test_a_handle_whose_holder_stayed_away_may_be_sold(stock: reclaiming.World) -> None:
    """What keeps the test above from passing for another reason."""
    account = stock.idle()
    stock.adopt(account)
    stock.go(days=62)
    assert reclaim.prepare_sale(namespace="demo", handle=account.handle) == "released"


@pytest.mark.parametrize(("login", "end"), [("before", "refunded"), ("after", "settled")])
def test_a_login_one_second_before_the_money_wins_and_one_second_after_comes_too_late(
    stock: reclaiming.World, login: str, end: str
) -> None:
    account = stock.idle()
    stock.adopt(account)
    stock.go(days=62)
    assert reclaim.prepare_sale(namespace="demo", handle=account.handle) == "released"
    world = worlds.World(stock.place, worlds.outside())
    world.install()
    sale = bought(world, account)
    if login == "before":
        logs_in(stock, account)
        world.step(1)
    payments.pay(sale_id=sale, by=Sale.objects.get(pk=sale).buyer_id, method="pm_card_visa")
    while Sale.objects.get(pk=sale).state == "funding":
        assert world.run_one()
    assert Transfer.objects.get().state == "pending"
    if login == "after":
        world.step(1)
        logs_in(stock, account)
    world.pass_time(days=3.1)
    row = Sale.objects.get(pk=sale)
    assert row.state == end
    holder = account.account_id if end == "refunded" else row.buyer_account_id
    assert world.holds(account.handle) == holder
    assert world.out.taken(sale).get("refund", 0) == (-row.gross_minor if end == "refunded" else 0)
    world.check(sale)


class Reticent(Port):
    """Of an account only what it is called is told."""

    def account(self, *, account_id: str) -> Any:
        told = self._port.account(account_id=account_id)
        return {name: told[name] for name in ("account_id", "handle")}


def test_a_last_look_that_says_less_than_the_sweep_knew_moves_nothing(
    stock: reclaiming.World,
) -> None:
    account = stock.idle()
    stock.adopt(account)
    stock.go(days=62)
    assert reclaim.prepare_sale(namespace="demo", handle=account.handle) == "released"
    world = worlds.World(stock.place, worlds.outside())
    world.install(platform=Reticent(world.out.platform()))
    sale = bought(world, account)
    payments.pay(sale_id=sale, by=Sale.objects.get(pk=sale).buyer_id, method="pm_card_visa")
    world.drain(hurry=True)
    assert (Sale.objects.get(pk=sale).state, Transfer.objects.get().state) == (
        "delivering",
        "pending",
    )
    world.pass_time(days=1.1)
    row = Sale.objects.get(pk=sale)
    assert (row.state, row.why) == ("refunded", "not_delivered")
    assert world.holds(account.handle) == account.account_id
    world.check(sale)


def bought(world: worlds.World, account: Idle) -> str:
    """The team lists the handle, a member takes it."""
    curator = make.member(world.place, roles="curator")
    buyer, _, _ = world.member()
    listed = listing.open_house(
        namespace="demo", handle=account.handle, by=curator.id, price=make.usd(400)
    )
    assert not isinstance(listed, str)
    return str(listing.buy(listing_id=str(listed.id), buyer=buyer.id).id)
