"""A card on the provider's own page, through the port: opened once, captured or released."""

from __future__ import annotations

import dataclasses
import time

import pytest
from tests.demo import checkout
from tests.demo.checkout import ASKS, DECLINED
from tests.ports.paying import USD, charged, make_port, names, plan

from onym.ports.breaker import NOT_ASKED, Gate, Guarded, Heard, shut_payments
from onym.ports.payments import Checkout, Visit

pytestmark = pytest.mark.usefixtures("calm")


def visit(**changes) -> Visit:
    back = "http://market.example/sales/1"
    told = {
        "amount": USD,
        "title": "@moon",
        "until": int(time.time()) + 4000,
        "success_url": f"{back}/returned",
        "cancel_url": f"{back}/left",
        "language": "fr",
        "mail": "buyer@people.example",
    }
    return Visit(**told | names() | changes)


def about(asked: Visit) -> dict:
    return {"key": asked.key, "amount": asked.amount, "sale_id": asked.sale_id}


def test_a_page_is_opened_paid_on_and_captured_once(provider, port):
    asked = visit()
    opened = port.check_out(visit=asked)
    assert opened.state == "open"
    assert checkout.type_card(opened.url).status_code == 303
    done = port.check_out(visit=asked, checkout_id=opened.id)
    assert (done.state, done.url) == ("complete", "")
    held = port.ask(**about(asked), intent_id=done.intent_id)
    assert (held.state, charged(provider, asked.sale_id)) == ("authorised", 0)
    for _ in range(2):
        assert port.capture(**about(asked), intent_id=done.intent_id).state == "paid"
    assert charged(provider, asked.sale_id) == USD.minor


def test_what_was_agreed_to_is_released_and_can_then_not_be_taken(provider, port):
    asked = visit()
    opened = port.check_out(visit=asked)
    checkout.type_card(opened.url)
    intent = port.check_out(visit=asked, checkout_id=opened.id).intent_id
    assert port.cancel(key=asked.key, intent_id=intent).state == "cancelled"
    assert port.capture(**about(asked), intent_id=intent).state == "cancelled"
    assert charged(provider, asked.sale_id) == 0


def test_a_page_asked_for_again_is_the_same_page(port):
    asked = visit()
    assert port.check_out(visit=asked) == port.check_out(visit=asked)


@pytest.mark.parametrize("fault", ["lost", "late", "crash_after"])
def test_an_answer_that_is_lost_leads_to_the_page_that_was_made(provider, fault):
    port, asked = make_port(provider, timeout=0.5), visit()
    plan(provider, "checkout.sessions.create", fault, seconds=1)
    assert port.check_out(visit=asked).state == "unknown"
    if fault == "crash_after":
        assert provider.died()
        provider.start()
    found = port.check_out(visit=asked)
    assert found.state == "open"
    listed = provider.get(f"/c/pay/{found.id}")
    assert "@moon" in listed.text


@pytest.mark.parametrize("fault", ["silent", "error", "crash_before", "rate_limit"])
def test_a_request_that_is_lost_is_made_again(provider, fault):
    port, asked = make_port(provider, timeout=2), visit()
    plan(provider, "checkout.sessions.create", fault)
    assert port.check_out(visit=asked).state == "unknown"
    if fault == "crash_before":
        assert provider.died()
        provider.start()
    assert port.check_out(visit=asked).state == "open"


@pytest.mark.parametrize("fault", ["error_kept", "error_after"])
def test_a_failure_that_is_remembered_is_got_around_by_a_further_key(provider, port, fault):
    asked = visit()
    plan(provider, "checkout.sessions.create", fault)
    assert port.check_out(visit=asked).state == "unknown"
    assert port.check_out(visit=asked).state == "open"


def test_a_page_found_again_by_its_key_is_shown_as_it_stands_now(port):
    asked = visit()
    checkout.type_card(port.check_out(visit=asked).url)
    assert port.check_out(visit=asked).state == "complete"


def test_a_closed_page_can_never_be_paid_on(port):
    asked = visit()
    opened = port.check_out(visit=asked)
    assert port.end_checkout(visit=asked, checkout_id=opened.id).state == "expired"
    assert port.end_checkout(visit=asked, checkout_id=opened.id).state == "expired"
    assert checkout.type_card(opened.url).status_code == 410


def test_a_buyer_who_was_there_first_is_not_shut_out(port):
    asked = visit()
    opened = port.check_out(visit=asked)
    checkout.type_card(opened.url)
    ended = port.end_checkout(visit=asked, checkout_id=opened.id)
    assert (ended.state, bool(ended.intent_id)) == ("complete", True)


def test_a_declined_card_and_a_bank_that_asks_leave_the_page_open(port):
    asked = visit()
    opened = port.check_out(visit=asked)
    for number in (DECLINED, ASKS):
        checkout.type_card(opened.url, number)
        assert port.check_out(visit=asked, checkout_id=opened.id).state == "open"


def test_a_visit_that_changed_under_its_key_is_over(port):
    asked = visit()
    port.check_out(visit=asked)
    changed = dataclasses.replace(asked, mail="other@people.example")
    assert port.check_out(visit=changed) == Checkout("expired", reason="changed")


def test_a_time_that_the_provider_does_not_allow_is_a_sure_no(port):
    said = port.check_out(visit=visit(until=int(time.time()) + 60))
    assert (said.state, bool(said.reason)) == ("expired", True)


def test_a_page_of_another_sale_or_amount_is_never_taken_for_ours(port):
    asked = visit()
    opened = port.check_out(visit=asked)
    for changes in ({"sale_id": "sal_other"}, {"amount": USD + USD}):
        other = dataclasses.replace(asked, **changes)
        found = port.check_out(visit=other, checkout_id=opened.id)
        assert (found.state, found.reason) == ("unknown", "differs")


@pytest.mark.parametrize("fault", ["lost", "error_after"])
def test_a_capture_whose_answer_is_lost_is_found_by_asking(provider, port, fault):
    asked = visit()
    opened = port.check_out(visit=asked)
    checkout.type_card(opened.url)
    intent = port.check_out(visit=asked, checkout_id=opened.id).intent_id
    plan(provider, "payment_intents.capture", fault)
    assert port.capture(**about(asked), intent_id=intent).state == "unknown"
    assert port.ask(**about(asked), intent_id=intent).state == "paid"
    assert charged(provider, asked.sale_id) == USD.minor


def test_behind_an_open_breaker_nobody_is_asked(port):
    gate = Gate("payments")
    guarded = Guarded(port, gate=gate, shut=shut_payments)
    for _ in range(20):
        gate.enter()
        gate.leave(Heard(fault=True))
    asked = visit()
    assert guarded.check_out(visit=asked) == Checkout("unknown", reason=NOT_ASKED)
    assert guarded.capture(**about(asked), intent_id="pi_1").reason == NOT_ASKED
