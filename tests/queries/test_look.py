"""The quick look at a handle says what the pages' way of reading says, and is never behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests import lived_in, make
from tests.lived_in import LivedIn

from onym.core.errors import NotFound
from onym.flows import listing
from onym.queries import look, names
from onym.store.models import Handle, ListEntry, Namespace, Plan, PlanPart

pytestmark = pytest.mark.usefixtures("database")

FOUND = ("moor001", "moor007", "moor055", "moor119")
OTHERS = ("nadia", "nobody", "Moon", "MOOR007", "moor001", "moor002", "moor113")


@pytest.fixture
def lived(database: Any, settings: Any) -> LivedIn:
    settings.DEMO = True
    return lived_in.market()


def same(*handles: str) -> None:
    for name in handles:
        assert look.handle("demo", name) == names.handle("demo", name), name


def test_both_ways_of_reading_agree_on_every_handle(lived: LivedIn) -> None:
    touched = Handle.objects.order_by("pk").values_list("handle", flat=True)
    assert len(touched) > 90
    same(*touched, *OTHERS)


def test_a_look_sees_at_once_what_was_just_written(lived: LivedIn) -> None:
    same("sold3", "moon", "moor007", "wanted1")
    seller = make.member(lived.place, account="acc-wanted1")
    listing.open_(namespace="demo", handle="wanted1", seller=seller.id, price=make.usd(700))
    assert look.handle("demo", "wanted1")["sale"]["mechanism"] == "listing"
    row = Handle.objects.get(handle="sold3")
    lived_in.sale(row, lived.buyer, seller, minor=77_700, at=lived.now)
    near = look.handle("demo", "sold4")["appraisal"]["comparables"]
    assert 77_700 in [sale["price"].minor for sale in near]
    Namespace.objects.filter(pk="demo").update(release_stop=not lived.place.release_stop)
    same("sold3", "moon", "moor007", "moor113", "wanted1")


def test_a_look_sees_lists_and_plans_change(lived: LivedIn) -> None:
    same("moor007", "free1")
    ListEntry.objects.create(
        namespace=lived.place, list="protected", handle="moor113", reason="x", added_at=lived.now
    )
    assert look.handle("demo", "moor113")["state"] == "protected"
    before = {name: look.handle("demo", name)["state"] for name in FOUND}
    later = (lived.now + lived_in.DAY).isoformat()
    Plan.objects.filter(pk="pln_lived").update(stages=[[100, later]])
    PlanPart.objects.update(sent=[None, None, None])
    assert {name: look.handle("demo", name)["state"] for name in FOUND} != before
    same(*FOUND)
    same("moor007", "moor113", "way1")


def test_a_look_is_one_statement_once_the_market_is_known(lived: LivedIn) -> None:
    look.handle("demo", "moon")
    with CaptureQueriesContext(connection) as asked:
        look.handle("demo", "moon1")
    assert len(asked) == 0, "the ORM asks nothing: the one statement is prepared beside it"


def test_an_unknown_namespace_is_refused() -> None:
    with pytest.raises(NotFound):
        look.handle("nowhere", "moon")
