"""Similar handles: what looks the same first, then one slip away, then what shares a word."""

from __future__ import annotations

from typing import Any

import pytest
from tests import lived_in, make

from onym.queries import ground, handle, similar

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def near(name: str) -> list[tuple[str, str]]:
    return [(one["handle"], one["why"]) for one in similar.similar("demo", name)]


def test_the_closest_come_first_and_strangers_not_at_all(place: Any) -> None:
    for name in ("moon", "m00n", "mono", "noon", "moonlight", "sunset", "mercury"):
        make.handle(place, name)
    assert near("MOON") == [
        ("m00n", "skeleton"),
        ("mono", "one_edit"),
        ("noon", "one_edit"),
        ("moonlight", "word"),
    ]
    assert near("mercury") == []


def test_a_handle_that_is_on_sale_brings_its_price_and_any_its_state(place: Any) -> None:
    seller = make.member(place, account="acc-seller")
    lived_in.listed(make.handle(place, "noon"), seller, minor=12_300, at=make.NOW)
    make.handle(place, "mono", state="released")
    shown = {one["handle"]: one for one in similar.similar("demo", "moon")}
    assert shown["noon"]["price"] == make.usd(123)
    assert (shown["mono"]["state"], shown["mono"]["price"]) == ("released", None)


def test_accounts_that_nobody_touched_are_found_under_the_same_letters(place: Any) -> None:
    lived_in.directory(place, ground.of("demo").now)
    found = near("moor001")
    assert ("moor000", "one_edit") in found
    assert len(found) == similar.MOST
    assert found == sorted(found, key=lambda one: (similar.WHYS.index(one[1]), one[0]))


def test_the_page_of_a_handle_says_what_its_parts_say_alone(place: Any) -> None:
    from onym.queries import names, reclaim, trend

    make.handle(place, "noon")
    seller, buyer = make.member(place, account="a"), make.member(place, account="b")
    lived_in.sale(make.handle(place, "moon"), buyer, seller, minor=900, at=make.NOW)
    page = handle.page("demo", "moon")
    assert page["handle"] == names.handle("demo", "moon")
    assert page["freed"] == reclaim.answer(namespace="demo", handle="moon")
    assert page["similar"] == similar.similar("demo", "moon")
    assert page["history"] == trend.price_history("demo", "moon")
    assert [sale["price"] for sale in page["history"]] == [make.usd(9)]
    assert page["watch"] is None
