"""The raised fence before a refund: whatever becomes of its answer, the money goes back once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests import world as worlds
from tests.faults import ways
from tests.faults.test_outside import cooled, impatient, state, until_state, world
from tests.faults.ways import Way

from onym.store.models import Sale, Transfer

__all__ = ["world"]


def test_a_copy_of_the_move_that_arrives_after_the_refund_comes_too_late(
    world: worlds.World,
) -> None:
    """The platform said done, did nothing, and a copy of the request still lay somewhere."""
    way, sale = cooled(world)
    world.out.plaza.arm("lie", on="move")
    way.pay(sale)
    world.pass_time(days=1.1)
    assert state(sale) == "refunded"
    assert copy_of_the_move().code == "stale"
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).seller_account_id
    world.check(sale)


def copy_of_the_move() -> Any:
    """The request as it was sent, by whatever lies between."""
    from onym import ports

    row = Transfer.objects.select_related("handle").get()
    return ports.platform("demo").move(
        handle=row.handle.handle,
        source=row.source,
        to=row.to,
        placeholder=row.placeholder,
        expected_holder=row.expected_holder,
        fence=row.fence,
        key=row.id,
        retain=True,
    )


def test_old_news_for_the_whole_time_to_deliver_gives_no_money_back(world: worlds.World) -> None:
    """Reads show the seller, but the bar is refused: somebody else holds the handle."""
    way, sale = cooled(world)
    world.out.plaza.arm("stale_reads")
    way.pay(sale)
    world.pass_time(days=3)
    assert state(sale) == "delivering"
    order = Transfer.objects.get()
    assert (order.state, order.bar_done is True) == ("done", False)
    assert world.out.taken(sale) == {"charge": 42_000}
    world.out.calm()
    until_state(world, sale, "inspection")
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).buyer_account_id
    way.accept(sale)
    world.pass_time(days=1.1)
    assert world.out.taken(sale) == {"charge": 42_000, "transfer": -40_000}
    world.check(sale)


BARS = [("cut_before", 1), ("cut_after", 1), ("error", 3), ("error_after", 2), ("delay_after", 1)]


@pytest.mark.parametrize("make_way", [ways.trade, ways.primary])
@pytest.mark.parametrize(("kind", "times"), BARS)
def test_whatever_happens_to_the_bar_the_money_goes_back_once(
    world: worlds.World, make_way: Callable[..., Way], kind: str, times: int
) -> None:
    way = make_way(world, price=400)
    sale = way.agree()
    world.out.plaza.arm("lie", on="move")
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) == "delivering"
    impatient(world)
    world.out.plaza.arm(kind, on="move", times=times, seconds=0.8)
    world.pass_time(days=1.1)
    until_state(world, sale, "refunded")
    assert Transfer.objects.get().bar_done
    row = Sale.objects.get(pk=sale)
    assert world.out.taken(sale) == {"charge": row.gross_minor, "refund": -row.gross_minor}
    assert world.holds(way.handle) == row.seller_account_id
    world.check(sale)
