"""The jobs process itself: killed while a charge is under way, the next one finishes it; and what
its jobs order is ordered in their own transactions.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connections, transaction
from tests import world as worlds
from tests.demo.servers import SOURCE
from tests.faults import ways

from onym.flows import record
from onym.jobs import worker
from onym.jobs.queue import task
from onym.store.models import Entry, Sale


@contextmanager
def jobs(world: worlds.World) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m onym.jobs` on this test's database, with the provider as its only outside."""
    told = {
        "ONYM_DEMO": "1",
        "ONYM_PAYMENTS_URL": world.out.provider.base,
        "ONYM_PAYMENTS_KEY": "sk_test_onym",
        "PYTHONPATH": str(SOURCE),
    }
    process = subprocess.Popen([sys.executable, "-m", "onym.jobs"], env=os.environ | told)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def test_a_killed_worker_s_charge_is_finished_by_the_next_one_and_taken_once(
    database: str, settings: Any
) -> None:
    world = worlds.market(settings)
    way = ways.trade(world, mail=False)
    sale = way.agree()
    slow = {"verb": "payment_intents.confirm", "kind": "slow", "seconds": 3}
    assert world.out.provider.pull("/demo/faults", **slow).ok
    way.pay(sale)
    with jobs(world) as first:
        planned = world.out.provider.get
        worlds.until(lambda: not planned("/demo/faults").json()["planned"], seconds=20)
        first.kill()
    assert Sale.objects.get(pk=sale).state == "funding"
    with jobs(world):
        wait = worker.STALLED_SECONDS + 20
        worlds.until(lambda: Sale.objects.get(pk=sale).state == "cooling", seconds=wait)
    assert Entry.objects.filter(kind="funded").count() == 1
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check(sale)


def test_what_a_job_orders_is_nobodys_before_it_commits(database: str) -> None:
    """Else another worker could look for rows that are not there yet, find nothing, and be done."""
    seen = []

    def ordered() -> list[str]:
        with psycopg.connect(database) as other:
            rows = other.execute(
                "select lock from procrastinate_jobs where task_name = 'test.later'"
            )
            return [lock for (lock,) in rows]

    @task("test.order")
    def order() -> None:
        with transaction.atomic():
            record.defer("test.later", lock="undone", in_seconds=600)
            transaction.set_rollback(True)
        with transaction.atomic():
            record.defer("test.later", lock="done", in_seconds=600)
            seen.append(ordered())
        connections.close_all()  # this thread's own

    record.defer("test.order", lock="order")
    asyncio.run(work_off())
    assert (seen, ordered()) == ([[]], ["done"])


async def work_off() -> None:
    """As the jobs process works, until nothing may run now."""
    async with worker.own().open_async() as running:
        await running.run_worker_async(wait=False, concurrency=1)
