"""Second factors: set up, used, lost and mended; what sells needs a fresh one, the desk any."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import make
from tests.surfaces import signing

from onym.flows import factors, listing, offer, people
from onym.flows import form as forms
from onym.jobs import notice
from onym.store.models import Approval, Listing, Member, Offer, Sale

pytestmark = pytest.mark.usefixtures("database")
STALE = 15 * 60


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", account_id="acc-moon")
    return made


@pytest.fixture
def member(place: Any) -> Any:
    return signing.leila()


@pytest.fixture
def buyer(place: Any) -> Any:
    made = people.join(
        namespace="demo", name="Nadia", mail="nadia@mail.example", password="kiln-and-clay"
    )
    people.link(member=made.id, account_id="acc-nadia")
    return made


@pytest.fixture
def browser(member: Any) -> Client:
    return signing.by_password()[0]


def page_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


def form_key(client: Client, path: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page_of(client, path))
    assert found, path
    return found[1]


# Setting up


def set_up_totp(client: Client) -> tuple[str, list[str]]:
    """The secret, and the recovery codes that were shown."""
    found = re.search(r'<code dir="ltr">([A-Z2-7]+)</code>', page_of(client, "/en/security/totp"))
    assert found
    answer = client.post("/en/security/totp", {"code": make.totp_code(found[1])})
    assert answer.status_code == 200, answer.content
    return found[1], signing.shown_codes(answer.content.decode())


def test_an_authenticator_app_is_set_up_with_its_first_code(member: Any, browser: Client) -> None:
    secret, codes = set_up_totp(browser)
    assert len(set(codes)) == 10
    assert codes[0] not in page_of(browser, "/en/security")
    changed = Member.objects.get(pk=member.id).security_changed_at
    assert changed is not None
    assert signing.letters("security_changed")[-1].facts["what"] == "totp_added"
    other, to = signing.by_password()
    assert to == "/en/sign-in/factor"
    assert signing.sent(other, to, code=make.totp_code(secret, later=1)) == "/en/me"


def test_a_wrong_first_code_sets_nothing_up(member: Any, browser: Client) -> None:
    page_of(browser, "/en/security/totp")
    assert browser.post("/en/security/totp", {"code": "123"}).status_code == 403
    assert signing.by_password()[1] == "/en/me"
    assert Member.objects.get(pk=member.id).security_changed_at is None


def test_the_qr_code_is_a_picture_of_this_site_that_nobody_keeps(browser: Client) -> None:
    page = page_of(browser, "/en/security/totp")
    assert 'src="/en/security/totp.svg"' in page
    answer = browser.get("/en/security/totp.svg")
    assert answer["Content-Type"] == "image/svg+xml"
    assert answer["Cache-Control"] == "no-store"
    assert answer.content.startswith(b"<?xml")
    assert b"<path" in answer.content
    assert "style=" not in page


def test_the_last_factor_takes_the_recovery_codes_with_it(browser: Client) -> None:
    set_up_totp(browser)
    shown = re.search(r'name="factor" value="(\d+)"', page_of(browser, "/en/security"))
    assert shown
    assert signing.sent(browser, "/en/security", do="remove", factor=shown[1]) == "/en/security"
    assert "Recovery codes" not in page_of(browser, "/en/security")
    assert signing.by_password()[1] == "/en/me"
    assert signing.letters("security_changed")[-1].facts["what"] == "totp_removed"


def test_nobody_removes_the_factor_of_another(member: Any, buyer: Any, browser: Client) -> None:
    make.totp(member)
    mine = make.confirmed(
        signing.by_password(mail="nadia@mail.example", password="kiln-and-clay")[0]
    )
    from allauth.mfa.models import Authenticator

    other = Authenticator.objects.get(user=Member.objects.get(pk=member.id).user)
    for typed in (str(other.pk), "x", "9" * 30, ""):
        assert mine.post("/en/security", {"do": "remove", "factor": typed}).status_code == 404
    assert Authenticator.objects.filter(pk=other.pk).exists()


def test_new_recovery_codes_void_the_old_ones(browser: Client, member: Any) -> None:
    _, old = set_up_totp(browser)
    answer = browser.post("/en/security", {"do": "codes"})
    new = signing.shown_codes(answer.content.decode())
    assert len(new) == 10
    other, to = signing.by_password()
    assert signing.sent(other, to, code=old[0]) == ""
    assert signing.sent(other, to, code=new[0]) == "/en/me"


def test_a_change_of_the_second_factor_stops_sales_for_thirty_days(
    member: Any, browser: Client
) -> None:
    set_up_totp(browser)
    wish = {"do": "list", "price": "10", "key": form_key(browser, "/en/@moon")}
    answer = browser.post("/en/@moon", wish)
    assert answer.status_code == 409
    assert "handle_locked" in answer.content.decode()


CHANGES = [
    {"do": "codes"},
    {"do": "password", "password": "quite-another-word"},
    {"do": "remove", "factor": "1"},
    {"do": "passkey", "credential": "{}"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_needs_the_second_factor_of_just_now(
    member: Any, browser: Client, change: dict[str, str]
) -> None:
    make.totp(member)
    client = make.confirmed(browser, ago=STALE)
    assert signing.sent(client, "/en/security", **change).startswith("/en/confirm?next=")
    assert client.get("/en/security/totp")["Location"].startswith("/en/confirm")
    assert client.get("/en/security/totp.svg")["Location"].startswith("/en/confirm")
    assert client.post("/en/security/options")["Location"].startswith("/en/confirm")


def test_without_second_factor_a_change_needs_a_sign_in_of_just_now(browser: Client) -> None:
    session = browser.session
    for record in session["account_authentication_methods"]:
        record["at"] -= STALE
    session.save()
    assert browser.get("/en/security/totp")["Location"].startswith("/en/sign-in?next=")


def test_a_password_that_is_too_simple_is_refused_and_a_new_one_ends_other_sessions(
    browser: Client,
) -> None:
    other, _ = signing.by_password()
    for weak in ("", "short", "password123"):
        assert browser.post("/en/security", {"do": "password", "password": weak}).status_code == 400
    assert signing.is_signed_in(other)
    answer = browser.post("/en/security", {"do": "password", "password": "quite-another-word"})
    assert answer.status_code == 200
    assert signing.is_signed_in(browser)
    assert not signing.is_signed_in(other)
    assert signing.by_password(password="quite-another-word")[1] == "/en/me"
    assert signing.by_password()[1] == ""


def test_a_new_password_is_told_by_mail_and_stops_no_sale(member: Any, browser: Client) -> None:
    browser.post("/en/security", {"do": "password", "password": "quite-another-word"})
    (letter,) = signing.letters("security_changed")
    assert letter.address == signing.MAIL
    _, text, _ = notice.render(letter.kind, language="en", facts=letter.facts)
    assert "The password was changed." in text
    assert "sold" not in text
    assert Member.objects.get(pk=member.id).security_changed_at is None


# Sessions


def test_a_member_sees_all_sessions_and_ends_one_or_all_others(browser: Client) -> None:
    two = Client(headers={"user-agent": "Second <b>browser"})
    three = Client()
    for client in (two, three):
        signing.by_password(client)
    page = page_of(browser, "/en/sessions")
    assert "Second &lt;b&gt;browser" in page
    assert page.count('name="session"') == 2
    chosen = re.findall(r'Second.*?name="session" value="(\d+)"', page, re.S)[0]
    assert signing.sent(browser, "/en/sessions", do="one", session=chosen) == "/en/sessions"
    assert [signing.is_signed_in(c) for c in (browser, two, three)] == [True, False, True]
    signing.sent(browser, "/en/sessions", do="others")
    assert [signing.is_signed_in(c) for c in (browser, two, three)] == [True, False, False]
    assert page_of(browser, "/en/sessions").count('name="session"') == 0


def test_nobody_ends_the_session_of_another(browser: Client, buyer: Any) -> None:
    other, _ = signing.by_password(mail="nadia@mail.example", password="kiln-and-clay")
    from allauth.usersessions.models import UserSession

    for row in UserSession.objects.exclude(session_key=other.session.session_key):
        typed = {"do": "one", "session": str(row.pk)}
        assert other.post("/en/sessions", typed).status_code == 404
    assert signing.is_signed_in(browser)


# A fresh second factor


def test_listing_without_one_asks_to_set_one_up(browser: Client) -> None:
    wish = {"do": "list", "price": "10", "key": form_key(browser, "/en/@moon")}
    to = signing.sent(browser, "/en/@moon", **wish)
    assert to == "/en/confirm?next=/en/%40moon"
    assert browser.get(to)["Location"] == "/en/security?needed=1"
    assert not Listing.objects.exists()


def test_listing_with_a_stale_one_asks_and_comes_back_with_what_was_typed(
    member: Any, browser: Client
) -> None:
    secret = make.totp(member)
    client = make.confirmed(browser, ago=STALE)
    path = "/en/sell/moon?price=1%2C234.50"
    wish = {"do": "list", "price": "1,234.50", "key": form_key(client, path)}
    to = signing.sent(client, path, **wish)
    assert client.post("/en/confirm", {"code": "000000", "next": path}).status_code == 403
    back = signing.sent(client, to, code=make.totp_code(secret), next=path)
    assert back == path
    assert 'value="1,234.50"' in page_of(client, back)
    again = wish | {"key": form_key(client, path)}
    assert signing.sent(client, path, **again).startswith("/en/sell/moon/listed")
    assert Listing.objects.get().price_minor == 123_450


def test_a_recovery_code_does_not_sell(member: Any, browser: Client) -> None:
    make.totp(member)
    codes = factors.new_recovery_codes(member=member.id)
    assert signing.sent(browser, "/en/confirm", code=codes[0], next="/en/@moon") == "/en/security"
    wish = {"do": "list", "price": "10", "key": form_key(browser, "/en/@moon")}
    assert signing.sent(browser, "/en/@moon", **wish).startswith("/en/confirm")
    assert browser.get("/en/security/totp").status_code == 200


def test_what_was_typed_is_kept_without_what_is_secret(browser: Client, member: Any) -> None:
    make.totp(member)
    signing.sent(browser, "/en/security", do="password", password="quite-another-word")
    assert browser.session[forms.KEPT]["fields"] == {"do": "password"}


@pytest.mark.parametrize("do", ["accept", "counter"])
def test_the_holder_agrees_to_an_offer_with_a_fresh_one_only(
    member: Any, buyer: Any, browser: Client, do: str
) -> None:
    made = offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(100))
    path = f"/en/offers/{made.id}"
    wish = {"do": do, "price": "120"}
    stale = make.confirmed(browser, ago=STALE)
    assert signing.sent(stale, path, **wish, key=form_key(stale, path)).startswith("/en/confirm")
    assert Offer.objects.get().turn == "seller"
    assert not Sale.objects.exists()
    fresh = make.confirmed(browser)
    assert signing.sent(fresh, path, **wish, key=form_key(fresh, path)).startswith("/en/")
    assert Sale.objects.exists() is (do == "accept")


def test_the_holder_declines_without_one(member: Any, buyer: Any, browser: Client) -> None:
    made = offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(100))
    path = f"/en/offers/{made.id}"
    assert signing.sent(browser, path, do="decline", key=form_key(browser, path)) == path
    assert Offer.objects.get().state == "declined"


def test_over_the_api_a_session_needs_one_and_a_token_counts_as_confirmed(
    member: Any, browser: Client
) -> None:
    wish = json.dumps({"handle": "moon", "price": {"minor": 1000, "currency": "USD"}})

    def listed(client: Client, **headers: str) -> Any:
        named = {"Idempotency-Key": "wish-1"} | headers
        return client.post("/api/v1/listings", wish, content_type="application/json", headers=named)

    refused = listed(browser)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_needed")
    again = listed(make.confirmed(browser, ago=STALE))
    assert again.json()["code"] == "second_factor_needed"
    done = listed(make.confirmed(browser))
    assert done.status_code == 201, done.content
    listing.withdraw(listing_id=Listing.objects.get().id, by=member.id)
    token = make.token(member)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "wish-2"}
    assert listed(Client(), **headers).status_code == 201


# The desk


def curator(name: str) -> Client:
    """A curator's browser after the password alone."""
    mail = f"{name}@team.example"
    made = people.join(namespace="demo", name=name, mail=mail, password="rope-and-anchor")
    people.grant(member=made.id, role="curator")
    return signing.by_password(mail=mail, password="rope-and-anchor")[0]


@pytest.mark.parametrize("path", ["", "stock", "handles/moon", "campaigns", "plans"])
def test_the_desk_opens_to_no_session_without_passkey_or_totp(place: Any, path: str) -> None:
    client, address = curator("amal"), f"/en/desk/{path}"
    assert client.get(address)["Location"] == f"/en/confirm?next={address}"
    with_recovery_code = make.confirmed(client, kind="recovery_codes")
    assert with_recovery_code.get(address)["Location"].startswith("/en/confirm")
    assert make.confirmed(client, ago=10 * STALE).get(address).status_code != 302


def test_the_desks_api_is_closed_to_such_a_session_and_so_are_the_sales_of_others(
    place: Any, member: Any, buyer: Any
) -> None:
    listed = listing.open_(namespace="demo", handle="moon", seller=member.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    client = curator("amal")
    refused = client.get("/api/v1/desk/approvals")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_needed")
    paths = (f"/en/sales/{sale.id}", f"/api/v1/sales/{sale.id}")
    assert [client.get(path).status_code for path in paths] == [404, 404]
    make.confirmed(client)
    assert [client.get(path).status_code for path in paths] == [200, 200]


def test_approving_and_selling_at_the_desk_need_a_fresh_one(place: Any) -> None:
    make.handle(place, "dusk", state="released")
    one, two = make.confirmed(curator("amal")), make.confirmed(curator("bruno"), ago=STALE)
    path, wish = "/en/desk/handles/dusk", {"do": "list", "price": "50,000"}
    asked = signing.sent(two, path, **wish, key=form_key(two, path))
    assert asked == f"/en/confirm?next={path}"
    assert 'value="50,000"' in page_of(two, path)
    signing.sent(one, path, **wish, key=form_key(one, path))
    waits = Approval.objects.get()
    yes = {"do": "approve", "about": waits.id, "shown": waits.shown}
    asked = signing.sent(two, "/en/desk/", **yes, key=form_key(two, "/en/desk/"))
    assert asked == "/en/confirm?next=/en/desk/"
    assert not Listing.objects.exists()
    make.confirmed(two)
    signing.sent(two, "/en/desk/", **yes, key=form_key(two, "/en/desk/"))
    assert Listing.objects.get().price_minor == 5_000_000


# Who may see what

ANYBODY = ["sign-in", "sign-in/code", "join"]
MEMBERS = ["security", "sessions", "confirm", "security/totp", "security/totp.svg"]
ONLY_SENT = ["sign-in/passkey", "sign-in/options", "sign-in/demo", "security/options"]


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
@pytest.mark.parametrize("path", [*ANYBODY, *MEMBERS, *ONLY_SENT])
def test_who_sees_which_page(member: Any, browser: Client, lang: str, path: str) -> None:
    address = f"/{lang}/{path}"
    stranger = Client().get(address)
    if path in ANYBODY:
        assert stranger.status_code == 200
        assert f'<html lang="{lang}"' in stranger.content.decode()
    elif path in MEMBERS:
        assert stranger["Location"].startswith(f"/{lang}/sign-in?next={address}")
        make.totp(member)
        assert make.confirmed(browser).get(address).status_code == 200
    else:
        assert stranger.status_code == 405
        assert browser.get(address).status_code == 405


@pytest.mark.parametrize("path", ["sign-in", "security", "sessions", "confirm", "security/totp"])
def test_these_pages_ask_the_database_at_most_twelve_times(
    member: Any, browser: Client, path: str
) -> None:
    make.totp(member)
    for _ in range(3):
        signing.by_password()
    client = make.confirmed(browser)
    client.get(f"/en/{path}")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/en/{path}").status_code == 200
    assert len(asked) <= 12, "\n".join(query["sql"][:150] for query in asked)
