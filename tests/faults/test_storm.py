"""Haste, repetition and sudden death: one button pressed by fifty, a worker that sleeps past its
lease, PostgreSQL killed under load, statements that the database turns away, jobs that run twice,
jobs that never succeed.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from django.test import Client
from procrastinate.exceptions import ConnectorException
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.faults.points import Points
from tests.faults.test_kill import WAYS, Way, every
from tests.faults.test_worker import jobs

from onym.core.errors import AlreadyClosed
from onym.jobs import worker
from onym.queries import health
from onym.site import embedded
from onym.store.models import Entry, Offer, Payment, Sale

PRESSES = 50
FORCED = ("40P01", "40001")
"""deadlock_detected and serialization_failure, in turn."""
SHORT = 5
LOADED_SECONDS = 1.5
LATE_COMMIT = "alter database onym set synchronous_commit = {}"


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


# One button, pressed by fifty


def press(sale: str, token: str, key: str) -> tuple[int, str]:
    """Pay, as a client of its own: the status and the code of a refusal."""
    try:
        said = Client().post(
            f"/api/v1/sales/{sale}/pay",
            {"payment_method": ways.GOOD},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )
    finally:
        connections.close_all()
    return said.status_code, said.json().get("code", "")


def pressed(sale: str, buyer: Any, name: Callable[[int], str]) -> Counter[tuple[int, str]]:
    token = make.token(buyer)
    with ThreadPoolExecutor(PRESSES) as threads:
        said = threads.map(lambda number: press(sale, token, name(number)), range(PRESSES))
        return Counter(said)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (lambda _: "one", {(200, ""), (202, ""), (409, "in_progress")}),
        (
            lambda number: f"key-{number}",
            {(200, ""), (202, ""), (409, "in_progress"), (409, "already_closed")},
        ),
    ],
    ids=["under_one_key", "under_a_key_each"],
)
def test_one_button_pressed_in_fifty_threads_takes_the_money_once(
    world: worlds.World, name: Callable[[int], str], allowed: set[tuple[int, str]]
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with jobs(world):
        said = pressed(sale, way.buyer, name)
        worlds.until(lambda: Sale.objects.get(pk=sale).state == "cooling", seconds=30)
    assert set(said) <= allowed, said
    assert said[200, ""] + said[202, ""] >= 1, said
    assert Payment.objects.filter(sale_id=sale).count() == 1
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check(sale)


# A worker that sleeps past its lease


def test_a_worker_that_was_paused_past_its_lease_does_nothing_twice(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    slow = {"verb": "payment_intents.confirm", "kind": "slow", "seconds": 3}
    assert world.out.provider.pull("/demo/faults", **slow).ok
    way.pay(sale)
    with jobs(world) as first:
        planned = world.out.provider.get
        worlds.until(lambda: not planned("/demo/faults").json()["planned"], seconds=20)
        first.send_signal(signal.SIGSTOP)
        with jobs(world):
            wait = worker.STALLED_SECONDS + 20
            worlds.until(lambda: Sale.objects.get(pk=sale).state == "cooling", seconds=wait)
            first.send_signal(signal.SIGCONT)
            time.sleep(4)  # it wakes with its answer in hand and must find the work done
            assert first.poll() is None
    assert Entry.objects.filter(kind="funded").count() == 1
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check(sale)


# PostgreSQL killed under load


def offers(world: worlds.World, over: threading.Event, kept: list[tuple[Way, str]]) -> None:
    """One offer after the other until the database is gone; what was answered is kept, with the
    one that was not at the end.
    """
    buyer, seller = world.member()[0], world.member()[0]
    try:
        while not over.is_set():
            _, handle = account = world.account()
            make.handle(world.place, handle, account_id=account[0])
            way = Way("offer", world, handle, buyer, seller, make.usd(400))
            kept.append((way, ""))
            kept[-1] = (way, way.once("offer", buyer, way.offer))
    except DatabaseError:
        over.set()
    finally:
        connections.close_all()


def loaded(world: worlds.World, kill: Callable[[], None]) -> list[tuple[Way, str]]:
    """What four clients were answered until the database was killed under them."""
    over = threading.Event()
    kept: list[list[tuple[Way, str]]] = [[] for _ in range(4)]
    threads = [threading.Thread(target=offers, args=(world, over, one)) for one in kept]
    for thread in threads:
        thread.start()
    time.sleep(LOADED_SECONDS)
    kill()
    over.set()
    for thread in threads:
        thread.join()
    return [made for one in kept for made in one]


def killed_under_load(
    world: worlds.World, postgres: embedded.EmbeddedPostgres, *, commit: str = "on"
) -> int:
    """Kill it, start it again; every answer was kept. How many there were."""
    with connection.cursor() as cursor:
        cursor.execute(LATE_COMMIT.format(commit))
    connections.close_all()
    assert postgres.process
    pid = int((postgres.cluster / "postmaster.pid").read_text().split()[0])

    def kill() -> None:
        import os

        os.kill(pid, signal.SIGKILL)

    made = loaded(world, kill)
    connections.close_all()
    postgres.process.wait()
    postgres.start()
    answered = [id_ for _, id_ in made if id_]
    there = set(Offer.objects.values_list("id", flat=True))
    assert set(answered) <= there, f"lost {len(set(answered) - there)} of {len(answered)}"
    for way, id_ in made:
        again = way.once("offer", way.buyer, way.offer)
        assert id_ in ("", again)
    assert Offer.objects.count() == len(made)
    world.audit()
    return len(answered)


def test_when_postgresql_is_killed_under_load_every_answer_was_kept(
    world: worlds.World, postgres: embedded.EmbeddedPostgres
) -> None:
    assert killed_under_load(world, postgres) >= 20


@pytest.mark.faults
def test_answers_given_before_they_are_kept_are_seen_to_be_lost(
    world: worlds.World, postgres: embedded.EmbeddedPostgres
) -> None:
    """The control of the test above: a database that answers first and writes later."""
    with pytest.raises(AssertionError, match="lost"):
        killed_under_load(world, postgres, commit="off")


# Statements that the database turns away


class Refused(Points):
    """At its point the database itself ends the transaction, as it does with a deadlock's loser."""

    def __init__(self, at: int, code: str) -> None:
        super().__init__(at)
        self.code = code

    def _statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.passed.append(f"sql {' '.join(sql.split())[:60]}")
        if len(self.passed) == self.at:
            told = f"do $$ begin raise exception 'forced' using errcode = '{self.code}'; end $$"
            return execute(told, None, False, context)
        return execute(sql, params, many, context)


def goes(way: Way, points: Refused) -> None:
    """The way, by a client that asks again and a queue that gives a failed job back."""
    connection.ensure_connection()
    connection.execute_wrappers.append(points._statement)
    try:
        for _ in range(4):
            try:
                return way.go()
            except (OperationalError, ConnectorException):  # the latter of the queue's own
                way.world.restart()
            except AlreadyClosed:  # the clock's step failed: the buyer came early, time does it
                return way.world.restart()
    finally:
        connection.execute_wrappers.remove(points._statement)
    raise AssertionError("it never came to its end")


def turned_away(world: worlds.World, kind: str, most: int | None = None) -> int:
    """Each statement of a way, or a seeded choice of them, fails once; how many did."""
    way = WAYS[kind](world)
    goes(way, points := Refused(0, ""))
    order = list(every(points.passed))
    random.Random(3).shuffle(order)
    for at in (chosen := order[:most]):
        way, name = WAYS[kind](world), points.passed[at - 1] if at <= len(points.passed) else "?"
        goes(way, Refused(at, FORCED[at % 2]))
        way.world.pass_time(days=12)
        sale = way.sale()
        assert sale, name
        expected = "settled" if way.ends == "accept" else "refunded"
        assert sale.state == expected, (at, name, sale.state)
        world.check_sale(sale.id)
    world.audit()
    return len(chosen)


@pytest.mark.parametrize("kind", ["trade"])
def test_a_statement_that_loses_a_deadlock_or_a_race_is_asked_again_and_nothing_is_half_done(
    world: worlds.World, kind: str
) -> None:
    assert turned_away(world, kind, SHORT) == SHORT


@pytest.mark.faults
@pytest.mark.parametrize("kind", WAYS)
def test_every_statement_may_lose_a_deadlock_or_a_race(world: worlds.World, kind: str) -> None:
    assert turned_away(world, kind) >= 100


# Jobs that run twice, and jobs that never succeed


@dataclass(slots=True)
class Twice(worlds.World):
    """A queue that delivers every job a second time, at once and again at the end."""

    delivered: list[dict[str, Any]] = field(default_factory=list)

    def _fetch(self) -> dict[str, Any] | None:
        found = worlds.World._fetch(self)
        if found:
            self.delivered.append(found)
            self._run(found)
        return found

    def _run(self, job: dict[str, Any]) -> None:
        from procrastinate.contrib.django import app

        app.tasks[job["task_name"]](**job["args"])

    def all_again(self) -> None:
        for job in list(self.delivered):
            self._run(job)


@pytest.fixture
def twice(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings, kind=Twice)


@pytest.mark.parametrize("kind", WAYS)
def test_a_queue_that_delivers_everything_twice_has_each_effect_once(
    twice: worlds.World, kind: str
) -> None:
    assert isinstance(twice, Twice)
    way = WAYS[kind](twice)
    way.go()
    twice.all_again()
    twice.pass_time(days=12)
    sale = way.sale()
    assert sale
    assert sale.state == ("settled" if way.ends == "accept" else "refunded")
    twice.check(sale.id)
    assert len(twice.delivered) >= 3


def test_a_job_that_never_succeeds_holds_up_no_other_and_is_shown(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with connection.cursor() as cursor:
        for number in range(20):
            cursor.execute(
                "insert into procrastinate_jobs (queue_name, task_name, lock, args, attempts) "
                "values ('default', %s, %s, '{\"payment_id\": \"pay_none\"}', 8)",
                ["sale.charge" if number % 2 else "nobody.knows", f"poison-{number}"],
            )
    way.pay(sale)
    with jobs(world):
        worlds.until(lambda: Sale.objects.get(pk=sale).state == "cooling", seconds=30)
        worlds.until(lambda: health.jobs().failed == 20, seconds=30)
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check_sale(sale)
    with pytest.raises(AssertionError, match="Q1 VIOLATED 20 rows"):
        world.audit()
