"""The audit beside a busy market: sales, integrator and clock go on; it reports what is true."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from tests import make
from tests.surfaces.test_audit import given_back, paid, traded

from onym.core.errors import Refusal
from onym.flows import clock, log, sale
from onym.queries import audit
from onym.queries.audit import Verdict
from onym.store import clock as store_clock
from onym.store.models import Event, Sale

LOAD_SECONDS = 8
_numbers = itertools.count(1)


@pytest.fixture
def place(database: str, settings: Any, tmp_path: Path) -> Any:
    settings.DEMO = True
    settings.DATA = tmp_path
    made = make.namespace()
    make.member(made, account="acc-moon", id="mbr_seller")
    make.member(made, account="acc-nadia", id="mbr_buyer")
    return made


def _sell(place: Any) -> None:
    """One sale settled, one refunded, one left in escrow."""
    names = [f"load{next(_numbers)}" for _ in range(3)]
    for name in names:
        with transaction.atomic():
            make.handle(place, name, account_id="acc-moon")
    done = traded(place, names[0], "mbr_seller")
    sale.accept(sale_id=done.id, by="mbr_buyer")
    given_back(paid(place, names[1], "mbr_seller", price=600), "mbr_seller")
    paid(place, names[2], "mbr_seller")


def _jump(_: Any) -> None:
    clock.set_ahead(to=store_clock.now() + timedelta(hours=1))
    time.sleep(0.05)


@contextmanager
def busy(place: Any, *work: Callable[[Any], object]) -> Iterator[None]:
    """Each of `work` again and again in a thread of its own, until the block ends."""
    over = threading.Event()
    faults: list[BaseException] = []

    def go(run: Callable[[Any], object]) -> None:
        try:
            while not over.is_set():
                try:
                    run(place)
                except Refusal:
                    continue
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(run,)) for run in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert faults == []


def broken() -> list[str]:
    return [str(check) for check in audit.run() if check.verdict is Verdict.VIOLATED]


def test_the_audit_is_silent_again_and_again_while_the_market_is_busy(place: Any) -> None:
    found, audits = [], 0
    with busy(place, _sell, _sell, _jump, lambda _: log.integrate()):
        until = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < until:
            found += broken()
            audits += 1
    assert found == []
    assert audits >= 5
    assert Sale.objects.filter(state="settled").count() >= 2
    assert Event.objects.filter(leaf_index__isnull=False).count() >= 10


def test_a_planted_violation_is_seen_through_the_load(place: Any) -> None:
    _sell(place)
    with busy(place, _sell, lambda _: log.integrate()):
        with connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            cursor.execute("delete from store_event where seq = (select min(seq) from store_event)")
            cursor.execute("set session_replication_role = origin")
        assert any(line.startswith("T2 VIOLATED") for line in broken())


def test_what_no_checkpoint_covers_after_its_time_is_late_whatever_the_clock_does(
    place: Any,
) -> None:
    _sell(place)
    clock.set_ahead(to=store_clock.now() + timedelta(days=3))
    assert broken() == [], "market time ran on, the log's minute did not"
    Event.objects.update(written_at=store_clock.now() - timedelta(days=3, seconds=61))
    assert [line.split()[0] for line in broken()] == ["T6"]
    log.integrate()
    assert broken() == []
