"""Feeds tell public facts in a form that readers accept, under names that never change."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from tests import make

from onym.flows import listing
from onym.queries import feeds
from onym.store.models import Sale

pytestmark = pytest.mark.usefixtures("database")
A = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    settings.BASE_URL = "https://market.example"
    settings.LOG_ORIGIN = "market.example/log"
    return make.namespace()


@pytest.fixture
def listed(place: Any) -> Any:
    for name in ("moon", "sunset"):
        make.handle(place, name, account_id=f"acc-{name}")
        seller = make.member(place, account=f"acc-{name}")
        row = listing.open_(namespace="demo", handle=name, seller=seller.id, price=make.usd(1250))
    return row


def sold(listed: Any, **changes: Any) -> Sale:
    buyer = make.member(listed.namespace, account="acc-buyer")
    made = listing.buy(listing_id=listed.id, buyer=buyer.id)
    Sale.objects.filter(pk=made.id).update(**changes)
    return made


SETTLED = {"state": "settled", "closed_at": make.NOW, "read_back_account_id": "acc-buyer"}


def read(path: str) -> ElementTree.Element:
    answer = Client().get(path)
    assert answer.status_code == 200
    return ElementTree.fromstring(answer.content)


def texts(root: ElementTree.Element, path: str) -> list[str]:
    return [found.text or "" for found in root.iterfind(path)]


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
@pytest.mark.parametrize("what", ["listings", "sales"])
def test_an_atom_feed_has_what_the_standard_asks_for(listed: Any, what: str, lang: str) -> None:
    sold(listed, **SETTLED)
    path = f"/{lang}/feeds/{what}.atom"
    root = read(path)
    assert root.tag == f"{A}feed"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == lang
    for scope in (root, *root.iterfind(f"{A}entry")):
        for name in ("id", "title", "updated"):
            assert len(texts(scope, f"{A}{name}")) == 1, name
            assert texts(scope, f"{A}{name}")[0]
        assert datetime.fromisoformat(texts(scope, f"{A}updated")[0]).tzinfo
    own = [link for link in root.iterfind(f"{A}link") if link.get("rel") == "self"]
    assert [link.get("href") for link in own] == [f"https://market.example{path}"]
    assert texts(root, f"{A}author/{A}name") != [""]
    assert len(root.findall(f"{A}entry")) == 1


@pytest.mark.parametrize("what", ["listings", "sales"])
def test_an_rss_feed_has_what_the_standard_asks_for(listed: Any, what: str) -> None:
    sold(listed, **SETTLED)
    root = read(f"/en/feeds/{what}.rss")
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    for name in ("title", "link", "description", "lastBuildDate"):
        assert texts(root, f"channel/{name}")[0], name
    guid = root.find("channel/item/guid")
    assert guid is not None
    assert guid.get("isPermaLink") == "false"
    assert texts(root, "channel/item/pubDate")[0]


def test_a_listing_says_its_handle_and_price_and_keeps_its_name(listed: Any) -> None:
    english, french = (read(f"/{lang}/feeds/listings.atom") for lang in ("en", "fr"))
    titles = texts(english, f"{A}entry/{A}title")
    assert titles[0] == "\u2066@sunset\u2069 is on sale for \u2066$1,250.00\u2069"
    assert len(titles) == 2
    ids = texts(english, f"{A}entry/{A}id")
    assert ids == texts(french, f"{A}entry/{A}id")
    assert len(set(ids)) == 2
    assert ids[0].startswith("tag:market.example,")
    assert ids[0].endswith(f":{listed.id}")
    link = english.find(f"{A}entry/{A}link")
    assert link is not None
    assert link.get("href") == "https://market.example/en/@sunset"


def test_a_sale_is_told_once_it_has_settled_and_not_before(listed: Any) -> None:
    made = sold(listed)
    assert read("/en/feeds/sales.atom").findall(f"{A}entry") == []
    Sale.objects.filter(pk=made.id).update(**SETTLED)
    root = read("/en/feeds/sales.atom")
    assert texts(root, f"{A}entry/{A}title") == [
        "\u2066@sunset\u2069 was sold for \u2066$1,250.00\u2069"
    ]
    text = Client().get("/en/feeds/sales.atom").content.decode()
    assert made.buyer_id not in text
    assert made.seller_id not in text


def test_a_feed_without_items_is_a_feed_all_the_same(place: Any) -> None:
    root = read("/en/feeds/sales.atom")
    assert texts(root, f"{A}updated") == ["2020-01-01T00:00:00+00:00"]
    assert texts(read("/en/feeds/sales.rss"), "channel/title") != [""]


@pytest.mark.parametrize("form", ["atom", "rss"])
def test_who_has_the_feed_is_told_so_until_there_is_something_new(place: Any, form: str) -> None:
    path = f"/en/feeds/listings.{form}"
    first = Client().get(path)
    again = Client().get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.member(place, account="acc-moon")
    listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(9))
    assert Client().get(path, headers={"If-None-Match": first["ETag"]}).status_code == 200


@pytest.mark.parametrize("path", ["offers.atom", "listings.json", "sales.html", "sales"])
def test_there_are_no_other_feeds(place: Any, path: str) -> None:
    assert Client().get(f"/en/feeds/{path}").status_code == 404


def test_the_latest_come_first_and_no_more_than_asked_for(listed: Any) -> None:
    found = feeds.listings("demo", limit=1)
    assert [item.handle for item in found] == ["sunset"]
    assert [item.handle for item in feeds.listings("demo", limit=9)] == ["sunset", "moon"]
