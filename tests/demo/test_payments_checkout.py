"""Checkout Sessions of the demo's provider, by the official SDK, and the page itself."""

from __future__ import annotations

import time

import pytest
import requests
import stripe
from tests.demo import checkout
from tests.demo.checkout import ASKS, DECLINED, VISA
from tests.demo.paying import make_client, make_provider, sums

from onym_demo.payments import cards
from onym_demo.payments.checkout_words import WORDS


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    clock = tmp_path_factory.mktemp("clock") / "offset"
    program = make_provider(tmp_path_factory.mktemp("checkout"), "--clock-file", str(clock))
    program.clock = clock
    yield program
    program.stop()


@pytest.fixture(scope="module")
def client(provider):
    return make_client(provider)


@pytest.fixture(autouse=True)
def today(provider):
    yield
    provider.clock.unlink(missing_ok=True)


def wanted(**changes):
    price = {"currency": "usd", "unit_amount": 52500, "product_data": {"name": "@moon"}}
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": {"capture_method": "manual", "metadata": {"sale_id": "sal_1"}},
        "metadata": {"sale_id": "sal_1"},
        "success_url": "http://market.example/done",
        "cancel_url": "http://market.example/left",
    } | changes


def opened(client, **changes):
    return client.checkout.sessions.create(wanted(**changes))


def again(client, session):
    return client.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})


def events(client, kind):
    return [one.data.object for one in client.events.list({"type": kind, "limit": 100}).data]


def test_a_card_typed_on_the_page_is_set_aside_and_the_buyer_led_back(provider, client):
    session = opened(client)
    assert (session.status, session.payment_intent) == ("open", None)
    assert session.url.startswith(f"{provider.base}/c/pay/")
    before = sums(provider)["in"]
    led = checkout.type_card(session.url)
    assert (led.status_code, led.headers["Location"]) == (303, "http://market.example/done")
    done = again(client, session)
    assert (done.status, done.payment_status, done.url) == ("complete", "unpaid", None)
    assert done.payment_intent.status == "requires_capture"
    assert done.payment_intent.metadata["sale_id"] == "sal_1"
    assert sums(provider)["in"] == before
    taken = client.payment_intents.capture(done.payment_intent.id)
    assert (taken.status, taken.amount_received) == ("succeeded", 52500)
    assert sums(provider)["in"] == before + 52500
    assert session.id in [one.id for one in events(client, "checkout.session.completed")]


def test_a_declined_card_leaves_the_page_open_for_another(client):
    session = opened(client)
    told = checkout.type_card(session.url, DECLINED)
    assert told.status_code == 402
    assert WORDS["en"]["wrong"]["declined"] in checkout.text(told)
    assert again(client, session).status == "open"
    assert checkout.type_card(session.url, VISA).status_code == 303
    assert again(client, session).payment_intent.status == "requires_capture"


@pytest.mark.parametrize(("said", "status"), [("yes", "complete"), ("no", "open")])
def test_a_bank_that_asks_is_answered_on_its_own_page(client, said, status):
    session = opened(client)
    checkout.say_yes(checkout.type_card(session.url, ASKS), answer=said)
    assert again(client, session).status == status


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ({"number": "4242424242424241"}, "number"),
        ({"number": "4242"}, "number"),
        ({"number": "4111111111111111"}, "unknown"),
        ({"expiry": "12/20"}, "expiry"),
        ({"expiry": "13/34"}, "expiry"),
        ({"cvc": "12"}, "cvc"),
    ],
)
def test_what_is_mistyped_is_said_and_tried_on_no_card(client, typed, word):
    session = opened(client)
    number = typed.get("number", VISA)
    rest = {name: value for name, value in typed.items() if name != "number"}
    told = checkout.type_card(session.url, number, **rest)
    assert told.status_code == 400
    assert WORDS["en"]["wrong"][word] in checkout.text(told)
    assert again(client, session).payment_intent is None


def test_a_number_is_read_with_the_spaces_that_people_type():
    read = cards.read(number="4242 4242-4242 4242", expiry=" 1 / 2034", cvc=" 123 ", now=0.0)
    assert read == cards.Card("pm_card_visa")


@pytest.mark.parametrize(
    ("locale", "browser", "spoken"),
    [("fr", "en", "fr"), ("auto", "ar,fr;q=0.5", "ar"), ("auto", "de", "en"), ("en", "fr", "en")],
)
def test_the_page_speaks_the_sessions_language_else_the_browsers(client, locale, browser, spoken):
    session = opened(client, locale=locale)
    told = requests.get(session.url, headers={"Accept-Language": browser}, timeout=10)
    assert WORDS[spoken]["card"] in checkout.text(told)
    assert f'<html lang="{spoken}"' in told.text


def test_the_three_languages_say_the_same_things():
    for words in WORDS.values():
        assert words.keys() == WORDS["en"].keys()
        assert words["wrong"].keys() == WORDS["en"]["wrong"].keys()


def test_an_expired_session_takes_no_card_and_tells_of_its_end(client):
    session = opened(client)
    assert client.checkout.sessions.expire(session.id).status == "expired"
    told = checkout.type_card(session.url)
    assert told.status_code == 410
    assert WORDS["en"]["over"] in checkout.text(told)
    assert session.id in [one.id for one in events(client, "checkout.session.expired")]
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        client.checkout.sessions.expire(session.id)


def test_a_session_expires_by_itself_and_its_begun_payment_with_it(provider, client):
    session = opened(client, expires_at=int(time.time()) + 3600)
    checkout.type_card(session.url, DECLINED)
    provider.clock.write_text("3700")
    assert requests.get(session.url, timeout=10).status_code == 410
    over = again(client, session)
    assert (over.status, over.payment_intent.status) == ("expired", "canceled")


@pytest.mark.parametrize("seconds", [600, 26 * 3600])
def test_a_session_lives_from_half_an_hour_to_a_day(client, seconds):
    with pytest.raises(stripe.InvalidRequestError, match="30 minutes and 24 hours"):
        opened(client, expires_at=int(time.time()) + seconds)


def test_a_sessions_payment_is_cancelled_only_once_it_waits_to_be_captured(client):
    session = opened(client)
    checkout.type_card(session.url, DECLINED)
    intent = again(client, session).payment_intent.id
    with pytest.raises(stripe.InvalidRequestError, match="Expire the Checkout Session"):
        client.payment_intents.cancel(intent)
    checkout.type_card(session.url, VISA)
    assert client.payment_intents.cancel(intent).status == "canceled"


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "subscription"},
        {"line_items": []},
        {"payment_intent_data": {"capture_method": "sometimes"}},
        {"payment_intent_data": {"unheard_of": "x"}},
        {"unheard_of": "x"},
        {"success_url": ""},
    ],
)
def test_what_is_not_understood_is_refused_when_the_session_is_made(client, changes):
    with pytest.raises(stripe.InvalidRequestError):
        opened(client, **changes)


def test_the_same_key_leads_to_the_same_session(client):
    key = {"idempotency_key": "one-visit"}
    first = client.checkout.sessions.create(wanted(), key)
    assert client.checkout.sessions.create(wanted(), key).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        client.checkout.sessions.create(wanted(success_url="http://market.example/x"), key)


def test_the_pages_form_leads_to_the_shop_alone_and_foreign_forms_are_refused(provider, client):
    session = opened(client)
    policy = requests.get(session.url, timeout=10).headers["Content-Security-Policy"]
    assert "form-action 'self' http://market.example;" in policy
    assert "script" not in policy
    told = requests.post(
        session.url, data={"number": VISA}, headers={"Origin": "http://evil.example"}, timeout=10
    )
    assert told.status_code == 403
    assert again(client, session).payment_intent is None
