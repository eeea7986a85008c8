"""The desk from outside: two people, exactly what was shown, and nobody without a role."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import make

from onym.flows import listing, people, shortlist
from onym.queries import stock
from onym.store import secrets
from onym.store.models import (
    Appeal,
    Approval,
    Campaign,
    Invitation,
    Listing,
    Namespace,
    Plan,
    Reclaim,
    Sale,
)

pytestmark = pytest.mark.usefixtures("database")
PAGES = ["", "overview", "sweeps", "plans", "stock", "stock?q=mo", "shortlist", "handles/moon"]
PAGES += ["handles/moon?way=campaign", "campaigns", "switches", "{sweep}", "{campaign}"]


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", state="released")
    return made


@pytest.fixture
def busy(place: Any) -> Any:
    """A desk with something on every page, and the addresses of two of them."""
    for name in ("mira", "mast", "mole"):
        make.reclaimed(place, name, state="released", looked_at=make.NOW)
        make.campaign(make.handle(place, f"{name}2", state="released"))
    Reclaim.objects.filter(handle__handle="mole").update(listed_at=make.NOW, sent=None)
    team = make.member(place, roles="curator").id
    for name in ("moon", "mira", "mast"):
        shortlist.mark(namespace="demo", handle=name, by=team, note="soon")
    for name in ("moon", "mast2"):
        listing.open_house(namespace="demo", handle=name, by=team, price=make.usd(50_000))
    made = make.sweep(place, by=team, stock=Plan.objects.all()[0].path)
    return {"sweep": f"sweeps/{made.id}", "campaign": f"campaigns/{Campaign.objects.all()[0].id}"}


def sign_in(name: str, *roles: str) -> Client:
    """A browser of a member with these roles."""
    mail = f"{name}@team.example"
    made = people.join(namespace="demo", name=name, mail=mail, password="rope-and-anchor")
    for role in roles:
        people.grant(member=made.id, role=role)
    client = Client()
    answer = client.post("/en/sign-in", {"mail": mail, "password": "rope-and-anchor"})
    assert answer.status_code == 302, answer.content
    return make.confirmed(client)


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.content)
    return answer.content.decode()


def send(client: Client, path: str, **fields: str) -> Any:
    """Fill in a form of the page and send it."""
    found = re.search(r'name="key" value="([^"]+)"', text_of(client, path))
    assert found, path
    return client.post(path, {"key": found[1], **fields})


@pytest.mark.parametrize("path", PAGES)
def test_only_roles_of_the_handle_team_see_the_desk(busy: Any, path: str) -> None:
    address = f"/en/desk/{path.format(**busy)}"
    assert Client().get(address)["Location"].startswith("/en/sign-in?next=/en/desk/")
    assert sign_in("nobody").get(address).status_code == 403
    auditor = sign_in("auditor", "auditor")
    page = text_of(auditor, address)
    assert "<main" in page
    assert not re.search(r"<button[^>]* name=\"do\"", page), "an auditor acts"


@pytest.mark.parametrize("path", PAGES)
def test_no_desk_page_asks_the_database_more_than_twelve_times(busy: Any, path: str) -> None:
    client, address = sign_in("amal", "curator"), f"/en/desk/{path.format(**busy)}"
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    assert len(asked) <= 12, "\n".join(query["sql"][:120] for query in asked)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_the_desk_speaks_the_languages_of_the_site(busy: Any, lang: str, path: str) -> None:
    client = sign_in("amal", "curator")
    answer = client.get(f"/{lang}/desk/{path.format(**busy)}")
    assert answer["Content-Language"] == lang
    assert f'<html lang="{lang}"' in answer.content.decode()


def test_a_dear_price_waits_for_a_second_person_who_approves_what_was_shown(place: Any) -> None:
    one, two = sign_in("amal", "curator"), sign_in("bruno", "curator")
    answer = send(one, "/en/desk/handles/moon", do="list", price="50,000")
    approval = Approval.objects.get()
    assert answer["Location"] == f"/en/desk/?did=proposed&about={approval.id}"
    assert approval.shown in text_of(one, "/en/desk/")
    own = send(one, "/en/desk/", do="approve", about=approval.id, shown=approval.shown)
    assert own.status_code == 403
    other = send(two, "/en/desk/", do="approve", about=approval.id, shown="0" * 64)
    assert other.status_code == 409
    assert not Listing.objects.exists()
    done = send(two, "/en/desk/", do="approve", about=approval.id, shown=approval.shown)
    assert done["Location"] == f"/en/desk/?did=approve&about={approval.id}"
    assert "Approved and carried out." in text_of(two, done["Location"])
    assert Listing.objects.get().price_minor == 5_000_000


def test_the_form_of_a_listing_sent_twice_lists_once(place: Any) -> None:
    client = sign_in("amal", "curator")
    path = "/en/desk/handles/moon"
    key = re.search(r'name="key" value="([^"]+)"', text_of(client, path))
    assert key
    form = {"key": key[1], "do": "list", "price": "900"}
    first, second = client.post(path, form), client.post(path, form)
    assert first["Location"] == second["Location"] == "/en/desk/handles/moon?did=listed"
    assert Listing.objects.get().price_minor == 90_000


def test_the_stop_goes_on_by_one_person_and_off_by_two(place: Any) -> None:
    one, two = sign_in("amal", "curator"), sign_in("bruno", "curator")
    assert send(one, "/en/desk/switches", do="stop").status_code == 302
    assert Namespace.objects.get().release_stop
    send(one, "/en/desk/switches", do="lift")
    assert Namespace.objects.get().release_stop
    waits = Approval.objects.get()
    send(two, "/en/desk/", do="approve", about=waits.id, shown=waits.shown)
    assert not Namespace.objects.get().release_stop


def test_the_phase_is_switched_and_a_phase_that_is_none_is_refused(place: Any) -> None:
    client = sign_in("amal", "curator")
    asked = text_of(client, "/en/desk/switches?phase=invited")
    assert "Change the phase from “open” to “invited”?" in asked
    assert Namespace.objects.get().phase == "open"
    assert send(client, "/en/desk/switches", do="phase", phase="invited").status_code == 302
    assert Namespace.objects.get().phase == "invited"
    assert "amal" in text_of(client, "/en/desk/switches")
    assert send(client, "/en/desk/switches", do="phase", phase="later").status_code == 400


LINES = "ada@mail.example, Ada, fr\n\nbo@mail.example\nنور@mail.example، نور، ar"


def test_a_campaign_is_committed_line_by_line_and_then_sent(place: Any) -> None:
    client = sign_in("amal", "curator")
    form = {"do": "campaign", "price": "900", "criteria": "they asked", "days": "14"}
    answer = send(client, "/en/desk/handles/moon", recipients=LINES, **form)
    made = Campaign.objects.get()
    assert answer["Location"] == f"/en/desk/campaigns/{made.id}?did=committed"
    assert Invitation.objects.count() == 3
    assert "ada@" not in text_of(client, answer["Location"])
    assert send(client, answer["Location"], do="send").status_code == 302
    assert Campaign.objects.get().state == "sending"


WRONG = [
    ("recipients", "no-address"),
    ("recipients", "a@b.example, A, de"),
    ("recipients", "a@b.example, A, en, more"),
    ("recipients", "a@b.example\nA@B.example"),
    ("recipients", ""),
    ("days", "soon"),
    ("days", "0"),
    ("price", "-5"),
]


@pytest.mark.parametrize(("field", "typed"), WRONG)
def test_a_campaign_that_cannot_be_read_is_refused_and_kept_as_typed(
    place: Any, field: str, typed: str
) -> None:
    client = sign_in("amal", "curator")
    form = {"do": "campaign", "price": "900", "criteria": "kept words", "days": "14"}
    form |= {"recipients": "ada@mail.example, Ada, fr", field: typed}
    answer = send(client, "/en/desk/handles/moon", **form)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert 'role="alert"' in page
    assert "kept words" in page
    assert not Campaign.objects.exists()


def test_a_house_purchase_always_needs_two(place: Any) -> None:
    one, two = sign_in("amal", "curator"), sign_in("bruno", "curator")
    send(one, "/en/desk/handles/moon", do="house", price="1")
    waits = Approval.objects.get()
    assert not Sale.objects.exists()
    done = send(two, "/en/desk/", do="approve", about=waits.id, shown=waits.shown)
    assert done.status_code == 302
    assert Sale.objects.get().kind == "house"


@pytest.fixture
def appeal(place: Any) -> Any:
    process = make.reclaimed(place, "sunset", state="resting")
    return Appeal.objects.create(
        id="apl_1",
        namespace=place,
        handle=process.handle,
        process=process,
        account_id="acc-sunset",
        text_sealed=secrets.seal("I was ill <b>", place="appeal.text/apl_1"),
        opened_at=make.NOW,
    )


def test_who_decides_an_appeal_reads_it_and_an_auditor_does_not(appeal: Any) -> None:
    assert "I was ill &lt;b&gt;" in text_of(sign_in("rim", "reviewer"), "/en/desk/")
    assert "I was ill" not in text_of(sign_in("otto", "auditor"), "/en/desk/")


def test_an_appeal_is_decided_at_the_desk(appeal: Any) -> None:
    reviewer = sign_in("rim", "reviewer")
    wordy = send(reviewer, "/en/desk/", do="upheld", about=appeal.id, reasons="Ill <b>")
    assert wordy.status_code == 400
    assert "Ill &lt;b&gt;" in wordy.content.decode()
    answer = send(reviewer, "/en/desk/", do="upheld", about=appeal.id, reasons="was_ill")
    assert answer.status_code == 302, answer.content
    appeal.refresh_from_db()
    assert (appeal.state, appeal.reasons) == ("upheld", ["was_ill"])
    again = reviewer.post("/en/desk/", {"key": "another-key", "do": "rejected", "about": "apl_1"})
    assert again.status_code == 409


def test_a_reviewer_confirms_an_account_nobody_could_reach(appeal: Any) -> None:
    Appeal.objects.all().delete()
    Reclaim.objects.update(sent=None, listed_at=make.NOW)
    reviewer = sign_in("rim", "reviewer")
    assert "sunset" in text_of(reviewer, "/en/desk/")
    assert send(reviewer, "/en/desk/", do="confirm", about="sunset").status_code == 302
    assert Reclaim.objects.get().confirmed_by is not None


def test_the_stock_holds_what_is_released_and_nothing_else(place: Any) -> None:
    make.handle(place, "moor", state="released")
    make.handle(place, "moose", state="held")
    make.reclaimed(place, "mood", state="resting")
    found = stock.stock("demo", stock.Wish(q="moo", sort="handle"))
    assert [row["handle"] for row in found] == ["moon", "moor"]
    page = text_of(sign_in("amal", "curator"), "/en/desk/stock?q=MOO")
    assert "@moor" in page
    assert "@moose" not in page
