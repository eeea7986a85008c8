"""The same sale on a real PDS, which has no atomic move: killed at each step, and raced for a name.

Each request to the PDS is a point of its own, for the move is several of them.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.demo import pds as servers
from tests.demo.line import KINDS, Line, laid
from tests.faults import ways
from tests.faults.points import Points, in_a_child
from tests.faults.test_kill import judge, restart
from tests.faults.ways import Way

from onym.ports.xrpc import Said, Xrpc
from onym.store.models import PlatformWrite, Sale, Transfer

REQUESTS = "request "
SHORT = 5
"""How many of the requests the short form dies at, in a seeded order."""


@pytest.fixture
def world(database: str, settings: Any) -> servers.World:
    return servers.market(settings)


@pytest.fixture
def pds(world: servers.World) -> servers.Pds:
    return servers.running()


class Stepwise(Points):
    """Points at which each request that changes the PDS is one, before it and after its answer."""

    def watch(self, world: Any) -> None:
        self.watch_database()
        pds = servers.running()
        asking = Counting(self, base=pds.base, password=servers.PASSWORD)
        port = pds.platform(xrpc=asking, hands_over=True)
        world.install(payments=world.out.payments(), platform=port)


class Counting(Xrpc):
    """Reaches a point before each order and after its answer."""

    def __init__(self, points: Points, **where: Any) -> None:
        super().__init__(**where)
        self._points = points

    def order(self, method: str, wish: Any, *, token: str | None = None) -> Said:
        self._points.reach(f"{REQUESTS}before {method}")
        said = super().order(method, wish, token=token)
        self._points.reach(f"{REQUESTS}after {method}")
        return said


def run_to(way: Way, at: int, *, only: str) -> tuple[int, list[str]]:
    """Go the way in a child that dies at point `at` of that sort: how it ended, what it passed."""
    told = Path(os.environ["ONYM_DATA"]) / "passed"
    told.unlink(missing_ok=True)

    def act() -> None:
        points = Stepwise(at, only=only)
        points.watch(way.world)
        way.go()
        told.write_text(json.dumps(points.passed))

    code = in_a_child(act)
    return code, json.loads(told.read_text()) if told.exists() else []


def trade(world: Any) -> Way:
    """A member's handle for a member whose own is kept; the move has five requests."""
    return ways.trade(world, mail=False, price=400)


def primary(world: Any) -> Way:
    """A handle that nobody holds, listed by the team: nothing to rename first."""
    return ways.primary(world)


WAYS: dict[str, Callable[[Any], Way]] = {
    "trade": trade,
    "primary": primary,
    "account": ways.account,
}
LEAST = {"trade": (10, 80), "primary": (6, 25), "account": (10, 30)}
"""At how many requests, and at how many points in all, each way is killed at the least."""


def nobody_is_without_a_handle(pds: servers.Pds, sale: Sale, *, kept: str) -> None:
    """Each of the two is called something that resolves to them, and the directory says the same;
    what the buyer gave up is theirs still, or the custodian's.
    """
    port = pds.platform()
    for did in filter(None, (sale.buyer_account_id, sale.seller_account_id)):
        label = pds.label(did)
        assert pds.resolve(label) == did
        assert pds.describe(did)["handleIsCorrect"] is True, label
    is_sold = sale.state == "settled" and sale.term == "handle"
    custodian = port.capabilities().custodian
    own = sale.buyer_account_id if sale.term == "handle" else port.holder(handle=kept).account_id
    assert port.holder(handle=kept).account_id == (custodian if is_sold else own)
    if sale.seller_account_id and not is_sold:
        assert pds.label(sale.seller_account_id) == sale.handle.handle


def enumerate_steps(
    world: servers.World, kind: str, only: str, chosen: Callable[[list[str]], Iterable[int]]
) -> int:
    """Die at each chosen point once; answers how many there were."""
    pds = servers.running()
    WAYS[kind](world).go()  # every module is loaded before the first fork
    way = WAYS[kind](world)
    code, passed = run_to(way, 0, only=only)
    assert (code, way.sale().state) == (0, "settled")
    died = 0
    for at in chosen(passed):
        world.worker_id = None
        way = WAYS[kind](world)
        kept = pds.label(way.buyer.link_set.order_by("id").first().account_id)
        code, _ = run_to(way, at, only=only)
        if code == 0:
            continue
        died += 1
        try:
            restart(way, client_returns=False)
            judge(way, client_returns=False, audit=False)
            nobody_is_without_a_handle(pds, way.sale(), kept=kept)
        except AssertionError as fault:
            raise AssertionError(f"killed at {at}, {passed[at - 1]}: {fault}") from fault
    world.audit()
    return died


def some(passed: list[str]) -> Iterable[int]:
    """Of the requests that change the PDS: before and after each, in a seeded order."""
    places = list(range(1, len(passed) + 1))
    random.Random(4).shuffle(places)
    return sorted(places[:SHORT])


def whole_move(passed: list[str]) -> Iterable[int]:
    """From the first line of the journal to the end of the move: each statement and request."""
    first = next(at for at, name in enumerate(passed, 1) if "platformwrite" in name)
    last = max(at for at, name in enumerate(passed, 1) if name.startswith(REQUESTS))
    return range(first, last + 12)


def test_killed_around_requests_of_the_move_a_sale_settles_or_is_refunded(
    world: servers.World,
) -> None:
    assert enumerate_steps(world, "trade", REQUESTS, some) == SHORT


@pytest.mark.faults
@pytest.mark.parametrize("kind", WAYS)
def test_killed_around_each_request_of_the_move_a_sale_settles_or_is_refunded(
    world: servers.World, kind: str
) -> None:
    every = lambda passed: range(1, len(passed) + 1)  # noqa: E731
    assert enumerate_steps(world, kind, REQUESTS, every) >= LEAST[kind][0]


@pytest.mark.faults
@pytest.mark.parametrize("kind", WAYS)
def test_killed_at_each_statement_and_request_of_the_move_a_sale_settles_or_is_refunded(
    world: servers.World, kind: str
) -> None:
    began = time.monotonic()
    died = enumerate_steps(world, kind, "", whole_move)
    print(f"{kind}: killed {died} times in {time.monotonic() - began:.0f} s")
    assert died >= LEAST[kind][1]


# ---- somebody comes between


RENAME = "updateAccountHandle"


@pytest.fixture
def line(world: servers.World, pds: servers.Pds) -> Iterator[Line]:
    """The market reaches the PDS over it."""
    with laid(pds.base) as made:
        world.install(platform=pds.platform(base=made.base))
        yield made


def signs_up(pds: servers.Pds, handle: str) -> Callable[[], str]:
    return lambda: pds.sign_up(handle=handle, email=f"{handle}-2@people.example")[0]


def renames_itself(pds: servers.Pds, handle: str) -> Callable[[], str]:
    """Invitations keep nobody from this: the account is there already."""
    did, _ = pds.sign_up()

    def act() -> str:
        assert pds.rename(did, handle).ok
        return did

    return act


STRANGERS = [signs_up, renames_itself]


@pytest.mark.parametrize("comes", STRANGERS)
def test_a_stranger_who_takes_the_name_between_the_two_steps_does_not_keep_it(
    world: servers.World, pds: servers.Pds, line: Line, comes: Any
) -> None:
    way = trade(world)
    strangers: list[str] = []
    act = comes(pds, way.handle)
    line.between(lambda: strangers.append(act()), on=RENAME)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    (stranger,) = strangers
    row = Sale.objects.get(pk=sale)
    assert (row.state, row.why) == ("refunded", "taken_between")
    assert Transfer.objects.get().reason == "taken_between"
    assert pds.resolve(way.handle) == row.seller_account_id
    assert pds.label(stranger).startswith("user-")
    assert pds.describe(stranger)["handleIsCorrect"] is True
    assert world.out.taken(sale) == {"charge": 42_000, "refund": -42_000}
    world.check(sale)


def test_a_stranger_who_comes_while_the_market_is_dead_does_not_keep_it_either(
    world: servers.World, pds: servers.Pds
) -> None:
    """Killed after the rename, found by the next start."""
    trade(world).go()
    way = trade(world)
    code, _ = run_to(way, 1, only="request after com.atproto.admin.updateAccountHandle")
    assert (code, pds.resolve(way.handle)) == (-9, None)
    stranger = signs_up(pds, way.handle)()
    restart(way, client_returns=False)
    row = way.sale()
    assert (row.state, row.why) == ("refunded", "taken_between")
    assert pds.resolve(way.handle) == row.seller_account_id
    assert pds.label(stranger).startswith("user-")
    world.check(row.id)


def test_a_stranger_who_takes_a_handle_that_nobody_held_keeps_it_and_the_money_goes_back(
    world: servers.World, pds: servers.Pds
) -> None:
    way = primary(world)
    sale = way.agree()
    stranger = signs_up(pds, way.handle)()
    way.pay(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "refunded"
    assert pds.resolve(way.handle) == stranger
    world.check(sale)


def test_a_directory_that_is_away_for_a_while_delays_the_move_and_ends_it_well(
    world: servers.World, pds: servers.Pds
) -> None:
    """The PDS cannot rename without it: the answer is no answer, and is asked for again."""
    way = trade(world)
    sale = way.agree()
    pds.processes["plc"].kill()
    pds.processes["plc"].wait(timeout=10)
    way.pay(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state in ("delivering", "delivery_unknown")
    pds.start("plc")
    world.pass_time(days=0.1)
    assert Sale.objects.get(pk=sale).state == "inspection"
    assert pds.describe(Sale.objects.get(pk=sale).buyer_account_id)["handleIsCorrect"] is True
    world.check(sale)


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_of_the_move_whose_answer_is_lost_is_settled_by_reading(
    world: servers.World, pds: servers.Pds, line: Line, kind: str, place: int
) -> None:
    """The rename, then the assignment: not arrived, or done and not heard of."""
    way = trade(world)
    sale = way.agree()
    if place == 1:
        line.arm(kind, on=RENAME)
    else:
        line.between(lambda: line.arm(kind, on=RENAME), on=RENAME)
    way.pay(sale)
    world.drain(hurry=True)
    assert (line.armed, line.acts) == ([], [])
    row = Sale.objects.get(pk=sale)
    assert row.state == "inspection"
    assert pds.resolve(way.handle) == row.buyer_account_id
    assert PlatformWrite.objects.get(fence__isnull=False).answer == "done"
    world.check(sale)


def test_a_directory_that_says_more_than_the_pds_is_put_right_when_a_move_is_undone(
    world: servers.World, pds: servers.Pds, line: Line
) -> None:
    """As a PDS leaves it that dies between the two: the buyer is named in the directory as what
    its own database never gave them.
    """
    way = trade(world)
    sale = way.agree()
    buyer = Sale.objects.get(pk=sale).buyer_account_id
    label = pds.label(buyer)
    assert pds.rename(buyer, f"x{label[-8:]}").ok
    with sqlite3.connect(pds.data / "pds" / "account.sqlite") as db:
        db.execute("update actor set handle = ? where did = ?", (f"{label}.test", buyer))
    db.close()
    assert pds.describe(buyer)["handleIsCorrect"] is False
    line.between(signs_up(pds, way.handle), on=RENAME)
    way.pay(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "refunded"
    assert (pds.label(buyer), pds.describe(buyer)["handleIsCorrect"]) == (label, True)
    world.check(sale)
