"""A sweep that is done is taken into use once, whatever happens between its end and then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from tests.flows import meeting, reclaiming
from tests.flows.reclaiming import Mailbox, World

from onym.flows import area, desk, people, plan, sweep
from onym.jobs import sweep as jobs
from onym.store import clock, ids, rowlocks
from onym.store.models import Approval, Plan, Sweep

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


def ordered(world: World, **columns: Any) -> Sweep:
    """A sweep under way, as the desk orders it."""
    return Sweep.objects.create(
        id=ids.new("swp"),
        namespace=world.place,
        policy="x-2023",
        version=1,
        as_of=world.now(),
        ordered_by=world.team[0],
        ordered_at=world.now(),
        **{"adopts": True, **columns},
    )


def finished(world: World, row: Sweep, **columns: Any) -> None:
    account = world.idle(**columns)
    world.know(account)
    sweep.finish(
        sweep_id=row.id,
        accounts=1,
        verdicts={"reclaim": 1},
        reasons={},
        stock=world.stock(account),
    )


def waiting() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select task_name from procrastinate_jobs where status = 'todo'")
        return [task for (task,) in cursor.fetchall() if task.startswith("sweep.")]


@pytest.mark.parametrize(("adopts", "orders"), [(True, ["sweep.adopt"]), (False, [])])
def test_the_end_of_a_sweep_and_the_order_to_adopt_it_are_one_commit(
    world: World, adopts: bool, orders: list[str]
) -> None:
    row = ordered(world, adopts=adopts)
    with transaction.atomic():
        finished(world, row)
        transaction.set_rollback(True)
    assert (Sweep.objects.get().state, waiting()) == ("running", [])
    finished(world, row)
    finished(world, row)
    assert (Sweep.objects.get().state, waiting()) == ("done", orders)


def test_a_sweep_is_adopted_once_however_often_its_job_runs(world: World) -> None:
    row = ordered(world)
    finished(world, row)
    world.work()
    jobs.adopt(sweep_id=row.id)
    assert Plan.objects.get().adopted_by == world.team[0]


def test_a_sweep_that_needs_two_people_is_proposed_once(world: World) -> None:
    row = ordered(world)
    finished(world, row, followers=10_000)
    world.work()
    jobs.adopt(sweep_id=row.id)
    asked = Approval.objects.get()
    assert (asked.state, asked.proposed_by) == ("open", world.team[0])
    desk.withdraw(approval_id=asked.id, by=world.team[0].id)
    jobs.adopt(sweep_id=row.id)  # a person may still ask for it
    assert Approval.objects.filter(state="open").count() == 1


def test_while_reclaim_is_stopped_the_adoption_waits(world: World) -> None:
    area.set_area(namespace=world.place.id, area="reclaim", stopped=True, by=world.team[0].id)
    row = ordered(world)
    finished(world, row)
    world.work()
    assert (Plan.objects.count(), waiting()) == (0, ["sweep.adopt"])
    asked: Any = area.set_area(
        namespace=world.place.id, area="reclaim", stopped=False, by=world.team[0].id
    )
    desk.approve(approval_id=asked.id, by=world.team[1].id, shown=asked.shown)
    jobs.adopt(sweep_id=row.id)
    assert Plan.objects.count() == 1


def test_who_may_order_sweeps_no_more_has_none_adopted(world: World) -> None:
    row = ordered(world)
    people.withdraw(member=world.team[0].id, role="curator")
    finished(world, row)
    world.work()
    assert (Plan.objects.count(), waiting()) == (0, [])


def test_sales_go_on_while_a_sweep_is_taken_into_use(world: World) -> None:
    """What relies on the market's switches holds them shared; adopting asks for no more."""
    stock = known(world)
    with transaction.atomic():
        rowlocks.namespace_shared(world.place.id)
        assert meeting.begin(lambda: adopt(world, stock)).result(20) == "done"


def test_of_two_adoptions_of_one_stock_at_once_one_is_told(world: World) -> None:
    stock = known(world)
    with transaction.atomic():
        adopt(world, stock)
        later = meeting.begin(lambda: adopt(world, stock))
        meeting.it_waits()
    assert later.result(20) == "already_closed"
    assert Plan.objects.count() == 1


def known(world: World) -> Path:
    account = world.idle()
    world.know(account)
    return world.stock(account)


def adopt(world: World, stock: Path) -> None:
    starts_at = clock.now() + timedelta(hours=1)
    plan.adopt(namespace=world.place.id, stock=stock, by=world.team[0].id, starts_at=starts_at)
