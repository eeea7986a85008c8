"""Search: every facet narrows, the cursor leads through all, and the answer says what it covers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from tests import lived_in, make

from onym.core.errors import Malformed
from onym.queries import search
from onym.queries.search import Wish

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    """Nine handles: three on sale, one being sold, one released; and accounts nobody touched."""
    settings.NAMESPACE = "demo"
    made = make.namespace()
    seller = make.member(made, account="acc-seller")
    buyer = make.member(made, account="acc-nadia")
    for n, name in enumerate(("moon", "moonlight", "m00n")):
        row = make.handle(made, name)
        at = make.NOW + timedelta(hours=n)
        lived_in.listed(row, seller, minor=(3 - n) * 10_000, at=at)
    row = make.handle(made, "moon_base")
    sold = lived_in.sale(
        row, buyer, seller, minor=900, at=make.NOW, state="funding", closed_at=None
    )
    from onym.store.models import SaleSlot

    SaleSlot.objects.create(handle=row, kind="sale", ref=sold.id, filled_at=make.NOW)
    make.handle(made, "noon", state="released")
    for name in ("q7x9", "zqxkv12", "moonlit", "sun"):
        make.handle(made, name)
    lived_in.directory(made, make.NOW)
    return made


def found(place: Any, **wish: Any) -> list[str]:
    return [one["handle"] for one in search.search(place.id, Wish(**wish))["items"]]


NARROWED: list[tuple[dict[str, Any], list[str]]] = [
    ({"q": "moonl"}, ["moonlight", "moonlit"]),
    ({"q": "MOONL"}, ["moonlight", "moonlit"]),
    ({"q": "moon", "match": "exact"}, ["moon"]),
    ({"q": "moon", "match": "exact", "sale": "listing"}, ["moon"]),
    ({"q": "sun", "match": "exact", "sale": "listing"}, []),
    ({"q": "moon", "max_length": 4, "sort": "price"}, ["moon"]),
    ({"q": "moon", "min_length": 8}, ["moon_base", "moonlight"]),
    ({"sale": "any"}, ["m00n", "moon", "moon_base", "moonlight"]),
    ({"sale": "listing"}, ["m00n", "moon", "moonlight"]),
    ({"sale": "sale"}, ["moon_base"]),
    ({"sale": "offer"}, ["moon_base"]),
    ({"sale": "english"}, []),
    ({"max_price_minor": 20_000}, ["m00n", "moonlight"]),
    ({"sale": "listing", "sort": "price"}, ["m00n", "moonlight", "moon"]),
    ({"sale": "listing", "sort": "-price"}, ["moon", "moonlight", "m00n"]),
    ({"sale": "listing", "sort": "listed"}, ["m00n", "moonlight", "moon"]),
    ({"sale": "listing", "sort": "length"}, ["m00n", "moon", "moonlight"]),
    ({"q": "moon", "match": "fuzzy", "max_length": 4}, ["moon", "noon"]),
    ({"q": "no such", "match": "prefix"}, []),
    ({"q": "moor", "sale": "listing"}, []),
]


@pytest.mark.parametrize(("wish", "handles"), NARROWED, ids=json.dumps)
def test_each_facet_narrows(place: Any, wish: dict[str, Any], handles: list[str]) -> None:
    assert found(place, **wish) == handles


def test_a_tier_narrows_to_what_is_of_it(place: Any) -> None:
    every = search.search(place.id, Wish(sort="length"))["items"]
    for tier in search.TIERS:
        of_it = [one["handle"] for one in every if one["tier"]["name"] == tier]
        assert found(place, tier=tier, sort="length") == of_it
    assert len({one["tier"]["name"] for one in every}) > 1, "the table shows nothing"


COVERS = [
    ({"q": "moor"}, "everything"),
    ({"q": "moor", "sort": "handle"}, "everything"),
    ({"q": "moor001", "match": "exact"}, "everything"),
    ({"q": "moor", "match": "fuzzy"}, "touched"),
    ({"q": "moor", "tier": "standard"}, "touched"),
    ({"q": "moor", "min_length": 2}, "touched"),
    ({"q": "moor", "sort": "price"}, "touched"),
    ({}, "touched"),
]


@pytest.mark.parametrize(("wish", "covers"), COVERS)
def test_the_answer_says_what_it_covers(place: Any, wish: dict[str, Any], covers: str) -> None:
    assert search.search(place.id, Wish(**wish))["covers"] == covers


@pytest.mark.parametrize(
    "wish",
    [
        {"q": "moon"},
        {"q": "moor00"},
        {"sort": "price"},
        {"sort": "-price"},
        {"sale": "listing", "sort": "listed"},
        {"tier": "standard", "sort": "length"},
        {"q": "moon", "match": "fuzzy"},
    ],
    ids=json.dumps,
)
def test_the_cursor_leads_through_all_once_and_in_order(place: Any, wish: dict[str, Any]) -> None:
    whole = [one["handle"] for one in search.search(place.id, Wish(**wish), limit=100)["items"]]
    walked, after = [], ""
    for _ in range(len(whole) + 1):
        page = search.search(place.id, Wish(**wish), after=after, limit=1)
        walked += [one["handle"] for one in page["items"]]
        after = page["next"] or ""
        if not after:
            break
    assert walked == whole
    assert len(whole) > 2


@pytest.mark.parametrize("after", ["x", "1", "1/", "--1/moon", f"{'9' * 30}/moon", "½/moon"])
def test_a_cursor_that_no_answer_gave_is_refused(place: Any, after: str) -> None:
    with pytest.raises(Malformed):
        search.search(place.id, Wish(sort="price"), after=after)


def test_facets_count_what_each_choice_would_leave(place: Any) -> None:
    facets = search.facets(place.id, Wish(q="moon"))
    assert facets["complete"]
    assert facets["sale"] == {"any": 3, "listing": 2, "sale": 1, "offer": 1}
    for name, count in facets["sale"].items():
        assert len(found(place, q="moon", sale=name)) == count
    for name, count in facets["tier"].items():
        assert len(found(place, q="moon", tier=name)) == count
    narrowed = search.facets(place.id, Wish(q="moon", sale="listing"))
    assert sum(narrowed["tier"].values()) == 2
    assert narrowed["sale"] == facets["sale"]


MALFORMED = [
    "match=nearly",
    "tier=gold",
    "sale=gift",
    "sort=luck",
    "min_length=-1",
    "min_length=x",
    "max_length=101",
    "max_price_minor=-5",
    "max_price_minor=1e9",
    f"max_price_minor={10**18}",
    f"q={'x' * 101}",
    "q=%00",
    "limit=0",
    "cursor=AA==",
]


@pytest.mark.parametrize("asked", MALFORMED)
def test_what_the_api_cannot_read_is_malformed(place: Any, asked: str) -> None:
    answer = Client().get(f"/api/v1/handles?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.content


def test_the_items_of_the_api_are_handle_objects_without_tenures_and_comparables(
    place: Any,
) -> None:
    answer = Client().get("/api/v1/handles?q=moon&match=exact").json()
    whole = Client().get("/api/v1/handles/moon").json()
    del whole["tenures"], whole["appraisal"]["comparables"]
    assert answer == {"items": [whole], "next": None, "covers": "everything"}
    assert whole["sale"]["price"] == {"minor": 30_000, "currency": "USD"}


TYPED = [
    ("min_length=x", "min_length"),
    ("max_length=-3", "max_length"),
    ("max_length=2&min_length=5", "max_length"),
    ("max_price=abc", "max_price"),
    ("max_price=-1", "max_price"),
]


@pytest.mark.parametrize(("asked", "field"), TYPED)
def test_a_field_that_cannot_be_read_says_so_and_keeps_what_was_typed(
    place: Any, asked: str, field: str
) -> None:
    answer = Client().get(f"/en/search?q=moon&{asked}")
    assert answer.status_code == 200
    assert set(answer.context["errors"]) == {field}
    typed = dict(pair.split("=") for pair in asked.split("&"))
    assert answer.context["asked"][field] == typed[field]


def test_a_price_is_read_as_the_pages_language_writes_it(place: Any) -> None:
    for lang, typed in (("en", "200.00"), ("fr", "200,00"), ("ar", "٢٠٠")):
        answer = Client().get(f"/{lang}/search", {"max_price": typed, "sort": "price"})
        shown = [one["handle"] for one in answer.context["found"]["items"]]
        assert shown == ["m00n", "moonlight"], lang
        assert answer.context["errors"] == {}
