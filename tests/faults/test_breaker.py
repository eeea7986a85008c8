"""A sale whose platform is left alone for a while: nothing is lost, and then it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests import world as worlds
from tests.faults.test_outside import cooled, state

from onym.core.breaker import FAULTS, State
from onym.ports.breaker import Gate, Guarded, shut_platform
from onym.store.models import Sale, Transfer


@pytest.fixture
def world(database: str, settings: Any) -> Iterator[worlds.World]:
    made = worlds.market(settings)
    yield made
    made.out.calm()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def guarded(world: worlds.World) -> tuple[Gate, Clock]:
    clock = Clock()
    gate = Gate("platform", clock=clock)
    world.install(platform=Guarded(world.out.platform(), gate=gate, shut=shut_platform))
    return gate, clock


def struck(world: worlds.World) -> int:
    """How often the armed fault may still strike."""
    found = world.out.plaza.program.get("/demo/faults").json()
    return sum(fault["times"] for fault in found)


@pytest.mark.parametrize(("kind", "on"), [("error", "handle"), ("cut_before", "*")])
def test_while_the_platform_is_left_alone_the_money_waits_and_then_the_buyer_gets_the_handle(
    world: worlds.World, kind: str, on: str
) -> None:
    way, sale = cooled(world)
    gate, clock = guarded(world)
    world.out.plaza.arm(kind, on=on, times=100)
    way.pay(sale)
    for _ in range(8):
        world.drain(hurry=True)
    assert gate.state() is State.OPEN
    left = struck(world)
    assert left >= 100 - 2 * FAULTS
    world.drain(hurry=True)
    assert struck(world) == left  # nobody asked
    assert state(sale) in ("delivering", "delivery_unknown")
    world.out.calm()
    clock.now += 60
    for _ in range(8):
        world.drain(hurry=True)
    assert (gate.state(), state(sale)) == (State.CLOSED, "inspection")
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).buyer_account_id
    assert Transfer.objects.filter(sale_id=sale).count() == 1
    world.check(sale)


def test_no_fresh_answer_for_the_whole_time_no_transfer_and_the_money_goes_back(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    gate, clock = guarded(world)
    before = world.holds(way.handle)
    world.out.plaza.arm("error", on="*", times=100)
    way.pay(sale)
    for _ in range(8):
        world.drain(hurry=True)
    assert gate.state() is State.OPEN
    world.pass_time(days=1.1)
    world.out.calm()
    clock.now += 60
    assert state(sale) == "delivering"  # nobody has said yet where the handle is
    world.drain(hurry=True)
    assert world.holds(way.handle) == before
    assert state(sale) == "refunded"
    assert world.out.taken(sale)["charge"] == -world.out.taken(sale)["refund"]
    world.check(sale)
