"""Every page answers, in three languages, and every form says what is wrong with what was typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from onym.flows import listing, offer, people
from onym.store.models import Listing, Offer, Sale
from tests import make

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.fixture
def seller(place: Any) -> Any:
    make.handle(place, "moon", account_id="acc-moon")
    made = people.join(
        namespace="demo", name="Leila", mail="leila@mail.example", password="orbit-and-tide"
    )
    people.link(member=made.id, account_id="acc-moon")
    return made


@pytest.fixture
def buyer(place: Any) -> Any:
    made = people.join(
        namespace="demo", name="Nadia", mail="nadia@mail.example", password="kiln-and-clay"
    )
    people.link(member=made.id, account_id="acc-nadia")
    return made


def signed_in(mail: str, password: str) -> Client:
    client = Client()
    answer = client.post("/en/sign-in", {"mail": mail, "password": password})
    assert answer.status_code == 302, answer.content
    return client


def form_key(client: Client, path: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', client.get(path).content.decode())
    assert found, path
    return found.group(1)


PATHS = ["", "search", "search?q=mo", "search?q=moon&match=exact", "@moon", "@nobody"]
PATHS += ["policies", "fees", "sign-in"]


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
@pytest.mark.parametrize("path", PATHS)
def test_every_public_page_answers_in_every_language(seller: Any, lang: str, path: str) -> None:
    answer = Client().get(f"/{lang}/{path}")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert f'<html lang="{lang}"' in text
    assert ('dir="rtl"' in text.split(">")[1]) == (lang == "ar")
    assert answer["Content-Language"] == lang
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_the_bare_address_leads_to_the_visitors_language(place: Any) -> None:
    assert Client().get("/", headers={"Accept-Language": "ar"})["Location"] == "/ar/"
    assert Client().get("/", headers={"Accept-Language": "de"})["Location"] == "/en/"


def test_the_release_stop_shows_on_every_page(place: Any) -> None:
    said = "Inactive names cannot be released at this time."
    assert said not in Client().get("/en/").content.decode()
    type(place).objects.update(release_stop=True)
    for path in ("", "policies", "sign-in"):
        assert said in Client().get(f"/en/{path}").content.decode()


def test_what_is_not_there_and_what_is_no_handle_is_said(place: Any) -> None:
    assert Client().get("/en/@no-such").status_code == 422
    assert Client().get("/en/invitations/nonsense").status_code == 404
    assert Client().get("/en/keep/nonsense").status_code == 404
    assert Client().get("/en/offers/nonsense").status_code == 404
    assert Client().get("/de/").status_code == 404


def test_what_needs_a_member_leads_to_sign_in_and_back(place: Any) -> None:
    answer = Client().get("/fr/me")
    assert (answer.status_code, answer["Location"]) == (302, "/fr/sign-in?next=/fr/me")


def test_a_wrong_password_is_refused_and_the_address_kept(seller: Any) -> None:
    typed = {"mail": "leila@mail.example", "password": "wrong"}
    answer = Client().post("/en/sign-in", typed)
    assert answer.status_code == 403
    assert 'value="leila@mail.example"' in answer.content.decode()


def test_nobody_is_sent_to_another_site_after_sign_in(seller: Any) -> None:
    typed = {"mail": "leila@mail.example", "password": "orbit-and-tide"}
    answer = Client().post("/en/sign-in", typed | {"next": "https://evil.example/"})
    assert answer["Location"] == "/en/me"


def test_a_member_lists_and_another_buys_by_pressing_twice(seller: Any, buyer: Any) -> None:
    one = signed_in("leila@mail.example", "orbit-and-tide")
    key = form_key(one, "/en/@moon")
    wish = {"do": "list", "price": "1,250.00", "key": key}
    assert one.post("/en/@moon", wish)["Location"] == "/en/@moon"
    listed = Listing.objects.get()
    assert listed.price_minor == 125_000
    two = signed_in("nadia@mail.example", "kiln-and-clay")
    assert "1,250.00" in two.get("/en/@moon").content.decode()
    press = {"do": "buy", "listing": listed.id, "key": form_key(two, "/en/@moon")}
    first, again = two.post("/en/@moon", press), two.post("/en/@moon", press)
    assert first["Location"] == again["Location"] == f"/en/sales/{Sale.objects.get().id}"
    page = two.get(first["Location"]).content.decode()
    assert "Waiting for the buyer" in page
    assert Client().get(first["Location"]).status_code == 302


TYPED = ["", "abc", "-5", "1e9", "0", "9" * 40, "<script>alert(1)</script>", "\u202e12", "12.345"]


@pytest.mark.parametrize("typed", TYPED)
def test_a_price_that_is_none_is_refused_and_kept_in_the_field(
    seller: Any, buyer: Any, typed: str
) -> None:
    client = signed_in("nadia@mail.example", "kiln-and-clay")
    key = form_key(client, "/en/@moon")
    answer = client.post("/en/@moon", {"do": "offer", "price": typed, "key": key})
    assert answer.status_code in (400, 422)
    page = answer.content.decode()
    assert 'role="alert"' in page
    assert "<script>alert" not in page
    assert not Offer.objects.exists()


def test_the_asked_holder_declines_by_the_link_alone(seller: Any, buyer: Any) -> None:
    made = offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(100))
    from onym.queries import notice
    from onym.store.models import Notice

    told = Notice.objects.filter(kind="offer_made").first()
    assert told is not None
    letter = notice.letter(told.id)
    assert letter is not None
    path = letter.facts["href"].split(":8000")[-1]
    path = "/" + path.split("/", 3)[-1] if path.startswith("http") else path
    client = Client()
    assert client.get(path).status_code == 200
    assert Offer.objects.get().state == "open"
    client.post(path, {"do": "decline"})
    assert Offer.objects.get(pk=made.id).state == "declined"


def test_a_party_sees_the_sale_and_a_stranger_nothing(seller: Any, buyer: Any, place: Any) -> None:
    listed = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    people.join(namespace="demo", name="X", mail="x@mail.example", password="somebody-else")
    assert (
        signed_in("x@mail.example", "somebody-else").get(f"/en/sales/{sale.id}").status_code == 404
    )
    page = signed_in("leila@mail.example", "orbit-and-tide").get(f"/en/sales/{sale.id}")
    assert page.status_code == 200
    assert signed_in("leila@mail.example", "orbit-and-tide").get("/en/me").status_code == 200
