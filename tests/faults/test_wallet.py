"""kill -9 on a wallet's whole way: money in, a sale paid from it and given back, money out.

The full enumeration runs under the marker `faults`; the short form takes every outside call and a
seeded sample of the commits.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.faults.points import Points, again_at, in_a_child
from tests.faults.test_kill import every, waiting_jobs
from tests.faults.ways import Way

from onym.flows import deposit, wallet
from onym.store.models import BookAccount, Deposit, Entry, Hold, Payout

COMMITS = 4


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.WALLET = True
    return worlds.market(settings)


@dataclass(slots=True)
class Purse:
    """A member who puts 1000 in, pays 420 for a sale that its seller ends, and takes 300 out."""

    world: worlds.World
    way: Way

    def go(self) -> None:
        buyer, world = self.way.buyer, self.world
        self.way.once("put", buyer, self._put)
        world.drain(hurry=True)
        if Deposit.objects.get(member=buyer).state != "paid":
            return
        sale = self.way.agree()
        self.way.once("pay", buyer, lambda: wallet.pay(sale_id=sale, by=buyer.id))
        self.way.cancel(sale)
        world.drain(hurry=True)
        self.way.once("out", buyer, lambda: wallet.pay_out(member=buyer.id, amount=make.usd(300)))
        world.pass_time(days=5)

    def _put(self) -> Deposit:
        return deposit.begin(member=self.way.buyer.id, amount=make.usd(1_000), method=ways.GOOD)

    def is_whole(self) -> None:
        """All that came in lies there or has left, once each, as the provider says, too."""
        buyer = self.way.buyer
        put = Deposit.objects.get(member=buyer)
        out = Payout.objects.get(member=buyer)
        lies = BookAccount.objects.filter(member=buyer).values_list("balance_minor", flat=True)
        assert (put.state, out.state) == ("paid", "done")
        assert sum(minor or 0 for minor in lies) == 70_000
        assert self.world.out.taken(put.id) == {"charge": 100_000}
        assert self.world.out.taken(out.id) == {"transfer": -30_000}
        assert {one.state for one in Hold.objects.filter(member=buyer)} == {"posted"}
        assert Entry.objects.filter(kind="deposited", ref=put.id).count() == 1
        assert not waiting_jobs(), waiting_jobs()


def purse(world: worlds.World) -> Purse:
    return Purse(world, ways.trade(world, price=600, mail=False))


def killed(world: worlds.World, chosen: Any) -> int:
    """Die at each chosen point once, restart, let the client come back; how often it died."""
    purse(world).go()  # every module is loaded before the first fork
    counted = purse(world)
    points = Points(0)
    passed: list[str] = []

    def count() -> None:
        points.watch(world)
        counted.go()

    assert in_a_child(lambda: _note(count, points)) == 0
    passed = _noted()
    died = 0
    for at in chosen(passed):
        world.worker_id = None
        one = purse(world)

        def act(one: Purse = one, at: int = at) -> None:
            again_at(passed, at).watch(world)
            one.go()

        if in_a_child(act) == 0:
            continue
        died += 1
        assert in_a_child(lambda one=one: again(one)) == 0
        try:
            one.is_whole()
        except AssertionError as fault:
            name = passed[at - 1] if at <= len(passed) else "?"
            raise AssertionError(f"killed at {at} of {len(passed)}, {name}: {fault}") from fault
    world.check_books()
    world.audit()
    return died


def _path() -> Any:
    import os
    from pathlib import Path

    return Path(os.environ["ONYM_DATA"]) / "passed-by-a-wallet"


def _note(act: Any, points: Points) -> None:
    act()
    _path().write_text("\n".join(points.passed))


def _noted() -> list[str]:
    return str(_path().read_text()).split("\n")


def again(one: Purse) -> None:
    """A new process: the dead worker's jobs are given back, and the client asks once more."""
    one.world.restart()
    one.world.install()
    one.world.drain(hurry=True)
    one.go()
    one.world.pass_time(days=5)


def short(passed: list[str]) -> Iterable[int]:
    numbered = list(enumerate(passed, 1))
    calls = [
        at
        for at, name in numbered
        if name.startswith("call") and any(verb in name for verb in ("charge", "pay_out"))
    ]
    commits = [at for at, name in numbered if name.startswith("commit")]
    random.Random(3).shuffle(commits)
    return [*calls, *commits[:COMMITS]]


def test_killed_around_its_outside_calls_a_wallet_loses_nothing_and_pays_once(
    world: worlds.World,
) -> None:
    assert killed(world, short) >= 4 + COMMITS // 2


@pytest.mark.faults
def test_killed_at_every_statement_commit_and_call_a_wallet_is_whole(world: worlds.World) -> None:
    assert killed(world, every) >= 100
