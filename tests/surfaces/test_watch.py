"""Watches: told once of everything, at most one letter a day, by nobody but their member."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from tests import lived_in, make

from onym.core.errors import Malformed
from onym.flows import clock, listing, log, watch
from onym.jobs import clock as jobs
from onym.jobs import notice as notices
from onym.queries import due
from onym.queries import notice as letters
from onym.queries import watch as queries
from onym.store import clock as store_clock
from onym.store import watch as store
from onym.store.models import Handle, Notice, Watch, WatchHit

pytestmark = pytest.mark.usefixtures("database")
_keys = itertools.count(1)


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.fixture
def seller(place: Any) -> Any:
    make.handle(place, "moon", account_id="acc-moon")
    return make.member(place, account="acc-moon", mail="seller@one.example")


@pytest.fixture
def member(place: Any) -> Any:
    return make.member(place, account="acc-nadia", mail="nadia@two.example", language="fr")


def list_moon(seller: Any, whole: float = 100) -> Any:
    made = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(whole))
    log.integrate()
    return made


def run_due() -> list[str]:
    """What the clock would do now, as the jobs do it."""
    found = due.until(store_clock.now())
    for item in found:
        jobs.run(item)
    return [item.what for item in found]


def hits(member: Any) -> list[tuple[str, str]]:
    rows = WatchHit.objects.filter(watch__member=member).order_by("pk")
    return [(row.handle.handle, row.what) for row in rows]


def test_a_watched_handle_that_is_listed_repriced_and_sold_is_told_each_time(
    place: Any, seller: Any, member: Any
) -> None:
    watch.handle(namespace="demo", handle="MOON", by=member.id)
    first = list_moon(seller)
    assert run_due() == ["watch.gather"]
    listing.withdraw(listing_id=first.id, by=seller.id)
    list_moon(seller, 80)
    run_due()
    row = Handle.objects.get(handle="moon")
    sold = lived_in.sale(row, make.member(place), seller, minor=8_000, at=store_clock.now())
    watch.note(watch.Hit("sold", sold.id, row, sold.closed_at, make.usd(80)))
    assert hits(member) == [("moon", "listed"), ("moon", "price_changed"), ("moon", "sold")]


def test_a_leaf_is_read_once_however_often_it_is_looked_for(
    place: Any, seller: Any, member: Any
) -> None:
    made = watch.handle(namespace="demo", handle="moon", by=member.id)
    list_moon(seller)
    watch.gather(namespace="demo")
    store.WatchCursor.objects.update(leaf=-1)
    watch.gather(namespace="demo")
    watch.gather(namespace="demo")
    assert hits(member) == [("moon", "listed")]
    assert WatchHit.objects.get().watch_id == made.id
    assert "watch.gather" not in run_due()


@pytest.mark.parametrize("earlier", [False, True])
def test_what_happened_before_the_watch_is_no_news(
    place: Any, seller: Any, member: Any, earlier: bool
) -> None:
    """Nor if it has not been read yet, because somebody else watched before."""
    if earlier:
        watch.search(namespace="demo", by=make.member(place).id, prefix="zz")
    list_moon(seller)
    watch.handle(namespace="demo", handle="moon", by=member.id)
    watch.search(namespace="demo", by=member.id, prefix="mo")
    run_due()
    assert hits(member) == []


def test_who_sells_is_not_told_of_the_own_listing(place: Any, seller: Any) -> None:
    watch.handle(namespace="demo", handle="moon", by=seller.id)
    watch.search(namespace="demo", by=seller.id, prefix="mo")
    list_moon(seller)
    run_due()
    assert hits(seller) == []


SEARCHES: list[tuple[dict[str, Any], bool]] = [
    ({"prefix": "mo"}, True),
    ({"prefix": "@MOON"}, True),
    ({"prefix": "moons"}, False),
    ({"prefix": "oon"}, False),
    ({"most": make.usd(100)}, True),
    ({"most": make.usd(99.99)}, False),
    ({"prefix": "mo", "most": make.usd(50)}, False),
    ({"tier": "rare"}, True),
    ({"tier": "standard"}, False),
    ({"prefix": "m", "tier": "rare", "most": make.usd(500)}, True),
]


@pytest.mark.parametrize(("wish", "fits"), SEARCHES)
def test_a_saved_search_is_told_of_the_listings_that_it_would_find(
    place: Any, seller: Any, member: Any, wish: dict[str, Any], fits: bool
) -> None:
    watch.search(namespace="demo", by=member.id, **wish)
    list_moon(seller, 100)
    run_due()
    assert bool(hits(member)) is fits


@pytest.mark.parametrize("wish", [{}, {"tier": "gold"}, {"prefix": " @ "}, {"prefix": "\0"}])
def test_a_search_that_narrows_nothing_is_refused(
    place: Any, member: Any, wish: dict[str, Any]
) -> None:
    with pytest.raises(Malformed):
        watch.search(namespace="demo", by=member.id, **wish)


def test_the_same_watch_is_one_and_there_are_not_too_many(place: Any, member: Any) -> None:
    make.handle(place, "moon")
    one = watch.handle(namespace="demo", handle="moon", by=member.id)
    assert watch.handle(namespace="demo", handle="Moon", by=member.id).id == one.id
    for n in range(watch.MOST - 1):
        watch.search(namespace="demo", by=member.id, prefix=f"m{n}")
    assert watch.search(namespace="demo", by=member.id, prefix="m1").prefix == "m1"
    with pytest.raises(Malformed):
        watch.search(namespace="demo", by=member.id, prefix="one-too-many")
    assert Watch.objects.count() == watch.MOST


# One letter a day


def told() -> list[Notice]:
    return list(Notice.objects.filter(kind="watch_hit").order_by("made_at"))


def test_there_is_one_letter_a_day_about_all_that_happened(
    place: Any, seller: Any, member: Any
) -> None:
    watch.handle(namespace="demo", handle="moon", by=member.id)
    watch.search(namespace="demo", by=member.id, prefix="mo")
    made = list_moon(seller)
    run_due()
    assert run_due() == ["watch.tell"]
    assert [len(row.facts["hits"]) for row in told()] == [1], "two watches, one happening"
    listing.withdraw(listing_id=made.id, by=seller.id)
    list_moon(seller, 90)
    run_due()
    assert run_due() == []
    assert len(told()) == 1
    watch.tell(member=member.id)
    assert len(told()) == 1
    clock.set_ahead(to=store_clock.now() + timedelta(days=1))
    assert run_due() == ["watch.tell"]
    assert [row.facts["hits"][0]["what"] for row in told()] == ["listed", "price_changed"]
    assert run_due() == []


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_the_letter_says_what_happened_and_ends_with_one_click(
    place: Any, seller: Any, language: str
) -> None:
    reader = make.member(place, mail="reader@two.example", language=language)
    watch.handle(namespace="demo", handle="moon", by=reader.id)
    list_moon(seller, 1_250)
    run_due()
    run_due()
    letter = letters.letter(told()[0].id)
    assert letter is not None
    subject, text, html = notices.render("watch_hit", language=language, facts=letter.facts)
    assert subject
    assert "moon" in text
    assert {"en": "$1,250.00", "fr": "1\u202f250,00", "ar": "US$"}[language] in text
    lines = text.splitlines()
    assert letter.facts["href"] in lines
    assert letter.facts["unsubscribe"] in lines
    assert letter.headers["List-Unsubscribe"] == f"<{letter.facts['unsubscribe']}>"
    assert letter.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert ('dir="rtl"' in html) == (language == "ar")


def test_the_letters_link_ends_letters_and_nothing_else(
    place: Any, seller: Any, member: Any
) -> None:
    watch.handle(namespace="demo", handle="moon", by=member.id)
    path = f"/fr/alerts/{store.token(member.id)}"
    client = Client(enforce_csrf_checks=True)
    assert client.get(path).status_code == 200
    assert Watch.objects.get().mail
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert not Watch.objects.get().mail
    list_moon(seller)
    run_due()
    run_due()
    assert told() == []
    assert hits(member) == [("moon", "listed")]
    for forged in (f"{member.id}.00", member.id, f"{seller.id}.{path.rsplit('.', 1)[1]}", "x.é"):
        assert client.get(f"/fr/alerts/{forged}").status_code == 404
        assert client.post(f"/fr/alerts/{forged}").status_code == 404


# Over HTTP


def send(member: Any, method: str, path: str, body: Any = None, scopes: str = "read buy") -> Any:
    headers = {"Authorization": f"Bearer {make.token(member, scopes=scopes)}"}
    if method != "GET":
        headers["Idempotency-Key"] = f"watch-{next(_keys)}"
    return Client().generic(
        method,
        f"/api/v1{path}",
        json.dumps(body) if body is not None else "",
        content_type="application/json",
        headers=headers,
    )


def test_a_watch_is_made_listed_and_ended(place: Any, seller: Any, member: Any) -> None:
    made = send(member, "POST", "/watches", {"handle": "Moon"})
    assert made.status_code == 201
    one = made.json()
    assert set(one) == {"id", "handle", "prefix", "tier", "max_price", "mail", "made_at"}
    assert (one["handle"], one["prefix"], one["mail"]) == ("moon", None, True)
    most = {"minor": 5_000, "currency": "USD"}
    wish = {"prefix": "mo", "tier": "rare", "max_price": most}
    two = send(member, "POST", "/watches", wish).json()
    assert (two["prefix"], two["tier"], two["max_price"]) == ("mo", "rare", most)
    assert send(member, "GET", "/watches").json() == {"items": [two, one], "next": None}
    page = send(member, "GET", "/watches?limit=1").json()
    assert page["items"] == [two]
    rest = send(member, "GET", f"/watches?limit=1&cursor={page['next']}").json()
    assert rest == {"items": [one], "next": None}
    ended = send(member, "DELETE", f"/watches/{one['id']}")
    assert (ended.status_code, ended.json()) == (200, one)
    assert send(member, "GET", "/watches").json()["items"] == [two]


REFUSED: list[tuple[Any, int, str]] = [
    ({}, 400, "malformed"),
    ({"handle": "moon", "prefix": "mo"}, 400, "malformed"),
    ({"tier": "gold"}, 400, "malformed"),
    ({"handle": "mo on"}, 422, "handle_malformed"),
    ({"prefix": "mo", "more": 1}, 400, "malformed"),
    ({"max_price": {"minor": 0, "currency": "USD"}}, 422, "amount_too_small"),
    ({"max_price": {"minor": 100, "currency": "EUR"}}, 422, "currency_mismatch"),
    ({"prefix": "x" * 101}, 400, "malformed"),
]


@pytest.mark.parametrize(("wish", "status", "code"), REFUSED)
def test_a_wish_that_cannot_be_kept_is_refused(
    place: Any, member: Any, wish: Any, status: int, code: str
) -> None:
    answer = send(member, "POST", "/watches", wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert not Watch.objects.exists()


def test_nobody_sees_or_ends_the_watch_of_another_and_scopes_count(
    place: Any, seller: Any, member: Any
) -> None:
    mine = send(member, "POST", "/watches", {"handle": "moon"}).json()
    assert send(seller, "GET", "/watches").json()["items"] == []
    other = send(seller, "DELETE", f"/watches/{mine['id']}")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")
    assert send(member, "GET", "/watches", scopes="buy").status_code == 403
    assert send(member, "POST", "/watches", {"prefix": "m"}, scopes="read").status_code == 403
    assert send(member, "DELETE", f"/watches/{mine['id']}", scopes="read").status_code == 403
    assert Client().get("/api/v1/watches").status_code == 401
    assert Watch.objects.count() == 1


def test_a_button_watches_and_unwatches_and_my_market_shows_it(place: Any, seller: Any) -> None:
    from onym.flows import people

    mail = "reader@mail.example"
    made = people.join(namespace="demo", name="R", mail=mail, password="rope-and-anchor")
    client = Client()
    client.post("/en/sign-in", {"mail": mail, "password": "rope-and-anchor"})
    press = {"do": "watch", "handle": "moon", "key": "a-form-of-moon", "next": "/en/@moon"}
    for _ in range(2):
        assert client.post("/en/watches", press)["Location"] == "/en/@moon"
    wish = {"do": "watch", "prefix": "mo", "max_price": "1,000", "key": "a-form-of-search"}
    assert client.post("/en/watches", wish)["Location"] == "/en/me"
    list_moon(seller)
    run_due()
    watched = client.get("/en/@moon").context["watch"]
    assert watched == Watch.objects.get(handle__handle="moon").id
    assert queries.on("moon", member=made.id) == watched
    shown = client.get("/en/me/alerts").context["alerts"]
    assert shown == queries.alerts(made.id)
    assert [one["prefix"] for one in shown["watches"]] == ["mo", None]
    assert [one["price"] for one in shown["hits"]] == [make.usd(100)] * 2
    ended = {"do": "unwatch", "watch": watched, "key": "a-form-of-no-more"}
    assert client.post("/en/watches", ended)["Location"] == "/en/me"
    assert client.get("/en/@moon").context["watch"] is None
    bad = client.post("/en/watches", wish | {"max_price": "dear", "key": "another-form"})
    assert bad.status_code == 400
    away = client.post("/en/watches", press | {"next": "https://evil.example/", "key": "b" * 9})
    assert away["Location"] == "/en/me"
    assert client.get("/en/watches").status_code == 405
    assert Client().post("/en/watches", press)["Location"].startswith("/en/sign-in")


REFUSED_BY = {
    "watch_of_a_handle_or_a_search": "update store_watch set handle_id = null",
    "watch_price": "update store_watch set handle_id = null, max_price_minor = 0",
    "hit_what": "update store_watchhit set what = 'gone'",
    "one_hit": "insert into store_watchhit (watch_id, handle_id, what, about, at) "
    "select watch_id, handle_id, what, about, at from store_watchhit",
    "one_watch": "insert into store_watch (id, namespace_id, member_id, handle_id, prefix, tier, "
    "mail, made_at) select 'wch_2', namespace_id, member_id, handle_id, prefix, tier, mail, "
    "made_at from store_watch",
}


@pytest.mark.parametrize("name", REFUSED_BY)
def test_the_database_refuses_half_a_watch_and_a_second_hit(
    place: Any, seller: Any, member: Any, name: str
) -> None:
    watch.handle(namespace="demo", handle="moon", by=member.id)
    row = Handle.objects.get(handle="moon")
    watch.note(watch.Hit("freed", "x", row, store_clock.now()))
    assert WatchHit.objects.count() == 1
    with pytest.raises(IntegrityError) as told, connection.cursor() as cursor:
        cursor.execute(REFUSED_BY[name])
    assert f'"{name}"' in str(told.value)


def test_every_named_constraint_of_watches_has_its_row() -> None:
    named = [c.name for model in (Watch, WatchHit) for c in model._meta.constraints]
    assert sorted(named) == sorted(REFUSED_BY)
