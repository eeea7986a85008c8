"""Every page answers, in three languages, and every form says what is wrong with what was typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override
from tests import make

from onym.core import access
from onym.core import invitation as campaigns
from onym.core.errors import Refusal
from onym.core.reclaim import Ending
from onym.flows import desk, form, listing, offer, people
from onym.store.models import Listing, Offer, Sale
from onym.web import (
    appeals,
    crawlers,
    documents,
    feeds,
    invitation,
    log,
    mine,
    names,
    notices,
    problems,
    reclaim,
    sell,
    share,
    urls,
    words,
)
from onym.web import (
    offer as offers,
)
from onym.web import page as frame
from onym.web import (
    sale as sales,
)
from onym.web.problems import MEANINGS
from onym.web.templatetags import market

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
    return make.confirmed(client)


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


MEANT = {
    "/@moon": "/fr/@moon",
    "/@moon/": "/fr/@moon",
    "/search?q=mo": "/fr/search?q=mo",
    "/desk": "/fr/desk/",
    "/en/desk": "/en/desk/",
    "/ar/me/": "/ar/me",
    "/en/@moon/?q=1": "/en/@moon?q=1",
    "/en//moon.example": None,
    "/api/v1/@moon": None,
    "/en/nowhere/": None,
}


@pytest.mark.parametrize(("written", "meant"), MEANT.items())
def test_an_address_without_language_or_with_a_slash_too_many_leads_to_its_page(
    place: Any, written: str, meant: str | None
) -> None:
    answer = Client().get(written, headers={"Accept-Language": "fr"})
    assert (answer.status_code, answer.headers.get("Location")) == (302 if meant else 404, meant)
    assert Client().post(written).status_code == 404


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


def test_every_code_has_a_page_that_its_type_leads_to(place: Any) -> None:
    for refusal in Refusal.__subclasses__():
        if refusal.__module__ == Refusal.__module__:
            answer = Client().get(f"/problems/{refusal.code}", headers={"Accept-Language": "fr"})
            assert answer["Location"] == f"/fr/problems/{refusal.code}"
            page = Client().get(answer["Location"])
            assert page.status_code == 200, refusal.code
            assert MEANINGS[refusal.code].what not in page.content.decode()
            assert refusal.code in page.content.decode()
    assert Client().get("/en/problems/no_such_code").status_code == 404


def test_an_address_that_leads_nowhere_is_told_in_the_sites_look_and_language(place: Any) -> None:
    answer = Client().get("/ar/nowhere/at-all")
    assert answer.status_code == 404
    assert 'dir="rtl"' in answer.content.decode()
    assert "سوق المعرّفات" in answer.content.decode()
    assert answer["Content-Language"] == "ar"
    program = Client().get("/api/v1/nowhere")
    assert program.status_code == 404
    assert program["Content-Type"] == "application/problem+json"
    assert program.json()["code"] == "not_found"


def test_a_form_without_its_token_is_refused_in_the_sites_look(seller: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/fr/sign-in", {"mail": "leila@mail.example", "password": "x"})
    assert answer.status_code == 403
    assert "Marché des identifiants" in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


def test_a_fault_of_ours_is_a_page_and_no_traceback(place: Any) -> None:
    answer = frame.broken(RequestFactory().get("/ar/search"))
    assert answer.status_code == 500
    assert 'lang="ar"' in answer.content.decode()


def test_a_form_without_its_name_is_refused(seller: Any, buyer: Any) -> None:
    client = signed_in("nadia@mail.example", "kiln-and-clay")
    for key in ("", "short", "x" * 300):
        answer = client.post("/en/@moon", {"do": "offer", "price": "10", "key": key})
        assert answer.status_code == 400
    assert not Offer.objects.exists()


def test_the_same_form_with_other_words_is_refused(seller: Any, buyer: Any) -> None:
    client = signed_in("nadia@mail.example", "kiln-and-clay")
    form = {"do": "offer", "price": "10", "key": form_key(client, "/en/@moon")}
    assert client.post("/en/@moon", form).status_code == 302
    assert client.post("/en/@moon", form | {"price": "20"}).status_code == 409
    assert Offer.objects.get().price_minor == 1_000


NUMBERS = [
    ("en", "1,250.00", 125_000),
    ("en", "1250", 125_000),
    ("fr", "1 250,50", 125_050),
    ("fr", "1\u202f250,5", 125_050),
    ("ar", "١٢٥٠٫٥٠", 125_050),
]


@pytest.mark.parametrize(("language", "typed", "minor"), NUMBERS)
def test_an_amount_is_read_as_its_language_writes_it(language: str, typed: str, minor: int) -> None:
    assert form.amount(typed, currency="USD", language=language).minor == minor


def test_the_holder_sets_a_minimum_and_lower_offers_are_refused(seller: Any, buyer: Any) -> None:
    one = signed_in("leila@mail.example", "orbit-and-tide")
    wish = {"do": "minimum", "price": "777", "key": form_key(one, "/en/@moon")}
    assert one.post("/en/@moon", wish).status_code == 302
    two = signed_in("nadia@mail.example", "kiln-and-clay")
    low = {"do": "offer", "price": "499", "key": form_key(two, "/en/@moon")}
    answer = two.post("/en/@moon", low)
    assert answer.status_code == 422
    assert 'value="499"' in answer.content.decode()
    assert "777" not in answer.content.decode()


def test_a_statement_and_a_sale_lead_to_what_can_be_verified(seller: Any, buyer: Any) -> None:
    listed = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    client = signed_in("leila@mail.example", "orbit-and-tide")
    assert "This handle is already being sold." in text(client, "/en/@moon")
    assert f"/api/v1/sales/{sale.id}/receipt.tlog-proof" in text(client, f"/en/sales/{sale.id}")
    assert "/api/v1/statement?format=csv" in text(client, "/en/me/statement")
    statement = client.get("/api/v1/statement?format=csv")
    assert statement.status_code == 200
    assert statement.content.startswith(b"at,kind,ref")


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


MOST = 12
BUSY = ["", "policies", "fees", "me", "offers", "sign-in", "problems/expired"]


@pytest.mark.parametrize("path", [*BUSY, "{sale}", "{offer}"])
def test_these_pages_ask_the_database_at_most_twelve_times(
    place: Any, seller: Any, buyer: Any, path: str
) -> None:
    for name in ("m1", "m2", "m3", "m4"):
        make.handle(place, name)
        made = offer.make(namespace="demo", handle=name, buyer=buyer.id, price=make.usd(100))
    listed = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    path = path.format(sale=f"sales/{sale.id}", offer=f"offers/{made.id}")
    client = signed_in("nadia@mail.example", "kiln-and-clay")
    client.get(f"/en/{path}")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/en/{path}").status_code == 200
    assert len(asked) <= MOST, "\n".join(query["sql"][:150] for query in asked)


VIEWS = (
    crawlers,
    documents,
    feeds,
    invitation,
    log,
    names,
    offers,
    problems,
    reclaim,
    sales,
    share,
)
VIEWS = (documents, invitation, names, offers, problems, reclaim, sales)
VIEWS += (appeals, mine, notices, sell)


def test_every_view_has_an_address() -> None:
    reached = {pattern.callback for pattern in urls.urlpatterns}
    for module in VIEWS:
        for name, view in vars(module).items():
            takes = getattr(view, "__annotations__", {})
            own = getattr(view, "__module__", "") == module.__name__
            if own and not name.startswith("_") and "request" in takes:
                assert view in reached, f"{module.__name__}.{name}"


def test_every_code_that_a_page_may_show_has_words() -> None:
    shown = [*campaigns.CampaignState, *campaigns.State, *access.Phase, *Ending, *desk.ACTS]
    assert [code for code in shown if str(code) not in words.WORDS] == []


@pytest.mark.parametrize(
    ("language", "said"), [("en", "$1,250.00"), ("fr", "1\u202f250,00\u00a0$US"), ("ar", "US$")]
)
def test_an_amount_is_shown_in_one_piece_as_its_language_writes_it(
    language: str, said: str
) -> None:
    with override(language):
        shown = market.money(make.usd(1250))
    assert said in shown
    assert 'dir="ltr"' in shown
    assert "\u200f" not in shown


def test_why_a_tier_was_given_is_said_in_the_pages_language() -> None:
    with override("fr"):
        assert words.tier_reason("dictionary word of six letters") == (
            "mot du dictionnaire de 6 lettres"
        )
        assert words.tier_reason("an operator's own sentence") == "an operator's own sentence"
