"""The clock settles what is due at once together: all or nothing, and one that is spoilt alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.faults.points import Points, in_a_child
from tests.flows.test_settlement import in_inspection, pass_days, violated

from onym.core.guidelines import parse
from onym.flows import clock as clocks
from onym.flows import sale as sale_flow
from onym.jobs import clock
from onym.queries import due
from onym.store.clock import now
from onym.store.models import Document, Entry, Event, Notice, Payout, Sale, SaleSlot

KILLED = -9


@pytest.fixture
def place(database: str, settings: Any) -> Any:
    settings.DEMO = True
    return make.namespace()


def due_now() -> list[due.Due]:
    return [item for item in due.until(now()) if item.what == "sale.inspected"]


def states() -> dict[str, int]:
    found = list(Sale.objects.values_list("state", flat=True))
    return {state: found.count(state) for state in set(found)}


def what_settling_left() -> tuple[int, ...]:
    return (
        Entry.objects.filter(kind="settled").count(),
        Event.objects.filter(type="SaleSettled").count(),
        Notice.objects.filter(kind="sale_settled").count(),
        Payout.objects.count(),
        SaleSlot.objects.count(),
    )


def commits(act: Callable[[], object]) -> int:
    """How often `act` commits."""
    points = Points()
    wrappers = list(connection.execute_wrappers)
    points.watch_database()
    try:
        act()
    finally:
        connection.execute_wrappers[:] = wrappers
        del connection._commit
    return points.passed.count("commit after")


def test_what_is_due_at_once_is_settled_in_one_commit(place: Any) -> None:
    in_inspection(place, 5)
    pass_days(10)
    ripe = due_now()
    assert commits(lambda: clock.run_all(ripe)) == 1
    assert states() == {"settled": 5}
    assert what_settling_left() == (5, 5, 9, 4, 0)
    assert violated() == []


def test_killed_anywhere_all_are_settled_or_none_and_the_next_start_settles_them(
    place: Any,
) -> None:
    in_inspection(place, 3)
    pass_days(10)
    at, seen = 0, []
    while True:
        at += 1
        code = in_a_child(lambda at=at: _die_at(at))  # type: ignore[misc]  # bound now
        seen.append(tuple(states().items()))
        if code != KILLED:
            break
    assert code == 0
    assert at > 15
    assert set(seen) == {(("inspection", 3),), (("settled", 3),)}
    assert seen == sorted(seen)
    clock.run_all(due_now())
    assert what_settling_left() == (3, 3, 5, 2, 0)
    assert violated() == []


def _die_at(at: int) -> None:
    ripe = due_now()
    Points(at).watch_database()
    clock.run_all(ripe)


def another_holder(made: Sale) -> None:
    """No read-back shows the buyer: a refusal."""
    Sale.objects.filter(pk=made.pk).update(read_back_account_id="acc-thief")


def booked_before(made: Sale) -> None:
    """An entry that is there already: the database refuses."""
    Entry.objects.create(
        namespace_id=made.namespace_id, kind="settled", ref=made.id, at=made.agreed_at
    )


def nothing_to_open(made: Sale) -> None:
    """A price that was committed and whose opening is gone: a fault."""
    Sale.objects.filter(pk=made.pk).update(private=True)


def no_guidelines(made: Sale) -> None:
    Sale.objects.filter(pk=made.pk).update(versions={"guidelines": "lost/9"})


@pytest.mark.parametrize("spoil", [another_holder, booked_before, nothing_to_open, no_guidelines])
def test_one_that_is_spoilt_does_not_hold_up_the_others(
    place: Any, spoil: Callable[[Sale], None]
) -> None:
    made = in_inspection(place, 6)
    spoil(made[2])
    pass_days(10)
    rounds = clock.Rounds()
    assert rounds.once() == 6
    assert states() == {"settled": 5, "inspection": 1}
    assert Sale.objects.get(state="inspection").id == made[2].id
    assert Event.objects.filter(type="SaleSettled").count() == 5
    assert rounds.once() in (0, 5)  # payouts; the spoilt one is tried again after a while
    assert states() == {"settled": 5, "inspection": 1}


def test_the_clock_settles_none_that_is_early_disputed_or_accepted_meanwhile(place: Any) -> None:
    made = in_inspection(place, 4)
    until = [Sale.objects.get(pk=one.pk).inspection_until for one in made]
    sale_flow.dispute(sale_id=made[0].id, by=made[0].buyer_id)
    clocks.set_ahead(to=max(until[1:3]) + timedelta(microseconds=1))
    Sale.objects.filter(pk=made[3].pk).update(inspection_until=now() + timedelta(hours=1))
    ripe = due_now()
    assert [item.id for item in ripe] == [made[1].id, made[2].id]
    sale_flow.accept(sale_id=made[1].id, by=made[1].buyer_id)
    stale = [due.Due(ripe[0].at, "sale.inspected", one.id) for one in made]
    for _ in range(2):
        clock.run_all([*stale, *stale])
        found = [Sale.objects.get(pk=one.pk).state for one in made]
        assert found == ["disputed", "settled", "settled", "inspection"]
    assert Event.objects.filter(type="SaleSettled").count() == 2
    assert violated() == []


def test_sales_agreed_under_other_guidelines_keep_their_own_delays(place: Any) -> None:
    made = in_inspection(place, 2)
    row = Document.objects.get(kind="guidelines")
    text = row.text.replace("cool_off_days = 30", "cool_off_days = 7")
    assert parse(text) != parse(row.text)
    row.pk, row.version, row.text = None, 9, text
    row.save(force_insert=True)
    own = Sale.objects.get(pk=made[1].pk).versions | {"guidelines": f"{row.name}/9"}
    Sale.objects.filter(pk=made[1].pk).update(versions=own)
    pass_days(10)
    clock.run_all(due_now())
    one, other = (Sale.objects.get(pk=one.pk) for one in made)
    gap = one.handle.cool_off_until - other.handle.cool_off_until
    assert gap == timedelta(days=23)
