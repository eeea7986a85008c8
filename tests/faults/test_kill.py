"""kill -9 at every statement, commit and outside call of a sale, then a restart: nothing is lost.

The full enumeration runs under the marker `faults` (make faults); the short form takes every
outside call and a seeded sample of the rest.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import world as worlds
from tests.faults import ways
from tests.faults.points import Points, again_at, in_a_child
from tests.faults.ways import Way

from onym.store.models import Appeal, Offer

KILLED = -9
ENDS = {"settled", "refunded"}
UNPAID = {"expired", None}
WAYS: dict[str, Callable[[Any], Way]] = {
    "trade": ways.trade,
    "primary": ways.primary,
    "cancelled": ways.cancelled,
    "undoing": ways.undoing,
    "account": ways.account,
}
LONG = WAYS | {"idle_account": ways.idle_account}
SHORT_SECONDS = 12.0
AUDIT_EVERY = 10


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def run_to(way: Way, points: Points) -> tuple[int, list[str]]:
    """Go the way in a child that dies at its point; how it ended and the points it passed."""
    told = Path(os.environ["ONYM_DATA"]) / "passed"
    told.unlink(missing_ok=True)

    def act() -> None:
        points.watch(way.world)
        way.go()
        told.write_text(json.dumps(points.passed))

    code = in_a_child(act)
    return code, json.loads(told.read_text()) if told.exists() else []


def restart(way: Way, *, client_returns: bool) -> None:
    """A new process: give back the dead worker's jobs, finish what waits, let all time pass."""

    def act() -> None:
        way.world.restart()
        way.world.install()
        way.world.drain(hurry=True)
        if client_returns:
            way.go()
        way.world.pass_time(days=12)

    assert in_a_child(act) == 0


def judge(way: Way, *, client_returns: bool, audit: bool) -> None:
    sale = way.sale()
    state = sale.state if sale else None
    may_end = ENDS if client_returns or way.was_paid_for() else UNPAID
    assert state in may_end, state
    if way.ends == "appeal":
        upheld = Appeal.objects.filter(sale=sale, state="upheld").exists()
        assert state == ("refunded" if upheld or client_returns else "settled")
    if sale:
        way.world.check_sale(sale.id)
    if audit:
        way.world.audit()
    assert not waiting_jobs(), waiting_jobs()


def waiting_jobs() -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select task_name, status from procrastinate_jobs where status <> 'failed'")
        return list(cursor.fetchall())


def enumerate_points(
    world: worlds.World, kind: str, chosen: Callable[[list[str]], Iterable[int]]
) -> int:
    """Die at each chosen point once; answers how many there were."""
    LONG[kind](world).go()  # every module is loaded before the first fork
    way = LONG[kind](world)
    code, passed = run_to(way, Points())
    assert code == 0
    assert way.sale().state == ("settled" if way.ends == "accept" else "refunded")
    world.check_sale(way.sale().id)
    died = 0
    for turn, at in enumerate(chosen(passed)):
        world.worker_id = None
        way, client_returns = LONG[kind](world), at % 2 == 0
        code, _ = run_to(way, again_at(passed, at))
        if code == 0:
            continue
        died += 1
        try:
            restart(way, client_returns=client_returns)
            judge(way, client_returns=client_returns, audit=turn % AUDIT_EVERY == 0)
        except AssertionError as fault:
            name = passed[at - 1] if at <= len(passed) else "?"
            raise AssertionError(f"killed at {at} of {len(passed)}, {name}: {fault}") from fault
    world.audit()
    return died


def short(passed: list[str]) -> Iterable[int]:
    """Around every outside call, and around as many commits, in a seeded order, as time allows."""
    numbered = list(enumerate(passed, 1))
    calls = [at for at, name in numbered if name.startswith("call")]
    commits = [at for at, name in numbered if name.startswith("commit")]
    random.Random(2).shuffle(commits)
    until = time.monotonic() + SHORT_SECONDS
    return _while(lambda: time.monotonic() < until, calls, commits)


def _while(goes_on: Callable[[], bool], always: list[int], more: list[int]) -> Iterator[int]:
    yield from always
    for at in more:
        if not goes_on():
            return
        yield at


@pytest.mark.parametrize("kind", WAYS)
def test_killed_around_every_outside_call_a_sale_settles_or_is_refunded(
    world: worlds.World, kind: str
) -> None:
    assert enumerate_points(world, kind, short) >= 6


def offered(way: Way) -> str:
    """One write of a client, named, in its own transaction."""
    return way.once("offer", way.buyer, way.offer)


def test_a_write_whose_answer_was_lost_is_answered_again_and_done_once(
    world: worlds.World,
) -> None:
    """Killed before and after each commit of the write; the client sends the same name again."""
    at = died = 0
    while True:
        at += 1
        way = ways.trade(world, mail=False)

        def act(way: Way = way, at: int = at) -> None:
            points = Points(at, only="commit")
            points.watch(world)
            offered(way)

        if in_a_child(act) == 0:
            break
        died += 1
        made = offered(way)
        assert offered(way) == made
        found = Offer.objects.filter(handle__handle=way.handle)
        assert [one.id for one in found] == [made]
    assert died >= 2


def every(passed: list[str]) -> Iterable[int]:
    """Each point, and a few beyond the last for whatever a slower run does once more."""
    print(f"{len(passed)} points: {Counter(name.split()[0] for name in passed)}")
    return range(1, len(passed) + 6)


@pytest.mark.faults
@pytest.mark.parametrize("kind", LONG)
def test_killed_at_every_statement_commit_and_call_a_sale_settles_or_is_refunded(
    world: worlds.World, kind: str
) -> None:
    began = time.monotonic()
    died = enumerate_points(world, kind, every)
    print(f"{kind}: killed {died} times in {time.monotonic() - began:.0f} s")
    assert died >= 100
