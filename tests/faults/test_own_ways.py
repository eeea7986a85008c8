"""A seller gives the handle to the buyer by the platform's own ways: delivered, not refunded."""

from __future__ import annotations

import pytest
from tests import world as worlds
from tests.faults import ways
from tests.faults.test_outside import cooled, finish, given, state, until_state, world

from onym.core.errors import NotAllowed
from onym.flows import sale as sale_flow
from onym.flows import transfer
from onym.store.models import Sale

__all__ = ["world"]


@pytest.mark.parametrize("before", ["payment", "deadline"])
def test_a_handle_that_the_seller_gave_the_buyer_by_themselves_is_delivered_and_never_refunded(
    world: worlds.World, before: str
) -> None:
    """Before the market asked for it: in time, or while the platform was away until too late."""
    way, sale = cooled(world)
    buyer = Sale.objects.get(pk=sale).buyer_account_id
    if before == "deadline":
        world.out.plaza.arm("error", on="reads", times=10_000)
        way.pay(sale)
        world.drain(hurry=True)
        world.pass_time(days=1.1)
        world.out.calm()
    given(world, way, to=buyer)
    way.pay(sale)
    until_state(world, sale, "inspection")
    assert world.holds(way.handle) == buyer
    finish(way, sale)


def test_a_trade_that_cools_off_is_not_called_off_once_the_buyer_holds_the_handle(
    world: worlds.World,
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) == "cooling"
    row = Sale.objects.get(pk=sale)
    transfer.look_while_cooling(sale_id=sale, by=row.seller_id)
    assert Sale.objects.get(pk=sale).read_back_account_id == row.seller_account_id
    given(world, way, to=row.buyer_account_id)
    transfer.look_while_cooling(sale_id=sale, by="mbr_nobody")
    assert Sale.objects.get(pk=sale).read_back_account_id == row.seller_account_id
    transfer.look_while_cooling(sale_id=sale, by=row.seller_id)
    with pytest.raises(NotAllowed):
        sale_flow.cancel(sale_id=sale, by=row.seller_id)
    world.pass_time(days=1.1)
    finish(way, sale)
