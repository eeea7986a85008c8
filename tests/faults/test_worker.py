"""The jobs process itself, killed while a charge is under way: the next one finishes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import world as worlds
from tests.demo.servers import SOURCE
from tests.faults import ways

from onym.jobs import worker
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
