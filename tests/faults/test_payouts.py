"""Payouts that are due at once: a call each, recorded together, and each seller paid once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from tests import world as worlds
from tests.faults import ways
from tests.faults.points import Points, in_a_child
from tests.faults.test_outside import forgetting, impatient, plan

from onym.flows import ledger
from onym.store.models import Entry, Notice, Payout, PayoutAccount, Sale

COUNT = 3
PAID = {"charge": 42_000, "transfer": -40_000}


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def owed(world: worlds.World) -> list[ways.Way]:
    """Trades that have settled and whose sellers are to be paid now."""
    found = [ways.trade(world, price=400) for _ in range(COUNT)]
    for way in found:
        sale = way.agree()
        way.pay(sale)
        world.drain(hurry=True)
        way.accept(sale)
    world.drain(hurry=True)
    world.step(40 * 86_400)
    return found


def order(ways_: list[ways.Way]) -> None:
    sales = [way.sale() for way in ways_]
    rows = Payout.objects.filter(sale__in=sales).order_by("id")
    ledger.pay_out_all(payout_ids=list(rows.values_list("id", flat=True)))


def jobs() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select task_name from procrastinate_jobs where status = 'todo' order by id")
        return [name for (name,) in cursor.fetchall()]


def are_paid(world: worlds.World, found: list[ways.Way]) -> None:
    sales = [way.sale() for way in found]
    assert [world.out.taken(sale.id) for sale in sales if sale] == [PAID] * COUNT
    assert Entry.objects.filter(kind="paid_out").count() == Payout.objects.count()
    assert Notice.objects.filter(kind="paid_out", about__in=[s.id for s in sales if s]).count() == 3
    world.check_books()
    world.audit()


def test_what_is_due_at_once_is_one_order_and_one_record(world: worlds.World) -> None:
    found = owed(world)
    order(found)
    assert jobs() == ["ledger.pay_out_all"]
    order(found[:1])
    world.drain(hurry=True)
    are_paid(world, found)
    assert Payout.objects.values("answered_at").distinct().count() == 1
    order(found)
    assert jobs() == []


@pytest.mark.parametrize("kind", ["lost", "silent", "error", "error_after", "late", "slow"])
def test_a_fault_at_one_of_them_delays_that_one_alone(world: worlds.World, kind: str) -> None:
    found = owed(world)
    impatient(world)
    plan(world, "transfers.create", kind, seconds=0.8)
    order(found)
    world.run_one()
    done = Payout.objects.filter(state="done").count()
    assert done >= COUNT - 1
    assert Entry.objects.filter(kind="paid_out").count() == done
    forgetting(world, kind)
    worlds.until(lambda: world.drain(hurry=True) == 0 and not jobs())
    world.install()
    are_paid(world, found)


def test_who_has_no_account_to_be_paid_to_is_asked_for_one_and_the_others_are_paid(
    world: worlds.World,
) -> None:
    found = owed(world)
    PayoutAccount.objects.filter(member=found[0].seller).delete()
    order(found)
    world.drain(hurry=True)
    assert Payout.objects.filter(state="done").count() == COUNT - 1
    asked = Notice.objects.get(kind="payout_account_needed")
    assert asked.about == Sale.objects.get(seller=found[0].seller).id
    PayoutAccount.objects.create(
        member=found[0].seller, provider="stripe", account=world.out.bank, ready_at=world.now()
    )
    order(found)
    world.drain(hurry=True)
    are_paid(world, found)


@pytest.mark.parametrize("only", ["call", "commit"])
def test_killed_between_any_two_beats_each_seller_is_paid_once(
    world: worlds.World, only: str
) -> None:
    at = died = 0
    while True:
        at += 1
        found = owed(world)

        def act(found: list[ways.Way] = found, at: int = at) -> None:
            points = Points(at, only=only)
            points.watch(world)
            order(found)
            world.run_one()

        world.worker_id = None
        if in_a_child(act) == 0:
            break
        died += 1
        world.restart()
        world.install()
        order(found)
        world.drain(hurry=True)
        are_paid(world, found)
    assert died >= 4
