"""The payments port takes money from a real provider process, over the official SDK."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from tests.demo.servers import until
from tests.ports.paying import USD, charge, charged, make_port, names, plan

from onym.core.errors import IdempotencyMismatch, PlatformUnavailable
from onym.core.money import Money
from onym.ports.payments import Charge
from onym.ports.stripe import StripePayments

pytestmark = pytest.mark.usefixtures("calm")


# ---- what a card says


@pytest.mark.parametrize(
    ("method", "state", "reason"),
    [
        ("pm_card_visa", "paid", ""),
        ("pm_card_mastercard", "paid", ""),
        ("pm_card_visa_chargeDeclined", "declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "declined", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "declined", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "declined", "processing_error"),
        ("pm_card_authenticationRequired", "action_needed", "requires_action"),
        ("pm_onym_processing", "unknown", "processing"),
        ("pm_nobody_knows", "declined", "resource_missing"),
    ],
)
def test_each_card_has_its_state(provider, port, method, state, reason):
    named = names()
    answer = charge(port, method, **named)
    assert (answer.state, answer.reason) == (state, reason)
    assert answer.intent_id
    assert charged(provider, named["sale_id"]) == (USD.minor if state == "paid" else 0)
    assert answer.captured_minor == (USD.minor if state == "paid" else 0)


# ---- what becomes of an answer that does not come


@pytest.mark.parametrize(
    ("method", "first", "then"),
    [
        ("pm_onym_lostAnswer", ("unknown", "no_answer"), ("paid", "")),
        ("pm_onym_lostRequest", ("unknown", "no_answer"), ("unknown", "not_confirmed")),
        ("pm_onym_serverError", ("unknown", "provider_failed"), ("unknown", "not_confirmed")),
        ("pm_onym_paidThenServerError", ("unknown", "provider_failed"), ("paid", "")),
        ("pm_onym_unknownForEver", ("unknown", "no_answer"), ("unknown", "processing")),
        ("pm_onym_unknownThenPaid", ("unknown", "no_answer"), ("paid", "")),
        ("pm_onym_unknownThenDeclined", ("unknown", "no_answer"), ("declined", "generic_decline")),
        ("pm_onym_processing", ("unknown", "processing"), ("paid", "")),
        (
            "pm_onym_processingThenDeclined",
            ("unknown", "processing"),
            ("declined", "generic_decline"),
        ),
    ],
)
def test_an_unknown_charge_is_resolved_by_asking(provider, port, method, first, then):
    named = names()
    answer = charge(port, method, **named)
    assert (answer.state, answer.reason) == first

    def outcome():
        asked = port.ask(amount=USD, intent_id=answer.intent_id, **named)
        assert asked.intent_id == answer.intent_id
        return (asked.state, asked.reason) == then

    until(outcome)
    assert charged(provider, named["sale_id"]) == (USD.minor if then[0] == "paid" else 0)


@pytest.mark.parametrize(
    ("verb", "kind", "knows_intent", "reason"),
    [
        ("payment_intents.create", "lost", False, "no_answer"),
        ("payment_intents.create", "silent", False, "no_answer"),
        ("payment_intents.create", "error", False, "provider_failed"),
        ("payment_intents.create", "rate_limit", False, "rate_limited"),
        ("charges.list", "error", False, "provider_failed"),
        ("payment_intents.confirm", "silent", True, "no_answer"),
        ("payment_intents.confirm", "error", True, "provider_failed"),
        ("payment_intents.confirm", "rate_limit", True, "rate_limited"),
    ],
)
def test_a_fault_before_the_money_is_unknown_and_a_retry_pays_once(
    provider, port, verb, kind, knows_intent, reason
):
    named = names()
    plan(provider, verb, kind)
    answer = charge(port, **named)
    assert (answer.state, answer.reason) == ("unknown", reason)
    assert (answer.intent_id is not None) == knows_intent
    assert charged(provider, named["sale_id"]) == 0
    assert charge(port, **named).state == "paid"
    assert charged(provider, named["sale_id"]) == USD.minor


@pytest.mark.parametrize("kind", ["lost", "late", "error_after"])
def test_money_taken_without_an_answer_is_found_by_asking_without_its_id(provider, kind):
    port, named = make_port(provider, timeout=0.3), names()
    plan(provider, "payment_intents.confirm", kind, seconds=1)
    assert charge(port, **named).state == "unknown"
    asked = port.ask(amount=USD, **named)
    assert asked.state == "paid"
    assert asked.captured_minor == USD.minor == charged(provider, named["sale_id"])


def test_a_confirmation_that_arrives_late_is_unknown_until_it_has_arrived(provider):
    port, named = make_port(provider, timeout=0.3), names()
    plan(provider, "payment_intents.confirm", "slow", seconds=0.8)
    answer = charge(port, **named)
    assert (answer.state, answer.reason) == ("unknown", "no_answer")
    assert port.ask(amount=USD, intent_id=answer.intent_id, **named).reason == "not_confirmed"
    until(lambda: port.ask(amount=USD, intent_id=answer.intent_id, **named).state == "paid")
    assert charged(provider, named["sale_id"]) == USD.minor


def test_a_confirmation_that_arrives_after_the_cancellation_takes_nothing(provider):
    port, named = make_port(provider, timeout=0.3), names()
    plan(provider, "payment_intents.confirm", "slow", seconds=0.8)
    answer = charge(port, **named)
    assert port.cancel(key=named["key"], intent_id=answer.intent_id).state == "cancelled"
    until(lambda: charge(make_port(provider), **named).reason != "in_progress")
    assert port.ask(amount=USD, intent_id=answer.intent_id, **named).state == "cancelled"
    assert charged(provider, named["sale_id"]) == 0


def test_a_wrong_key_at_the_provider_is_unknown_not_a_decline(provider):
    port = StripePayments(api_key="sk_test_wrong", api_base=provider.base)
    assert charge(port, **names()) == Charge("unknown", None, "not_authenticated")


def test_while_the_api_key_is_changed_nothing_is_paid_twice_and_nothing_is_lost(provider, port):
    named, old = names(), StripePayments(api_key="sk_test_old", api_base=provider.base)
    assert charge(old, **named).state == "unknown"
    paid = charge(port, **named)
    assert paid.state == "paid"
    assert charge(old, **named).state == "unknown"
    assert charge(port, **named).intent_id == paid.intent_id


def test_no_provider_at_all_is_unknown():
    port = StripePayments(api_key="sk_test_onym", api_base="http://127.0.0.1:9", timeout=0.5)
    assert charge(port, **names()) == Charge("unknown", None, "no_answer")
    assert port.ask(amount=USD, **names()).state == "unknown"
    assert port.cancel(key="k", intent_id="pi_1").state == "unknown"
    with pytest.raises(PlatformUnavailable):
        port.connect(key="k", mail="a@b.example")


# ---- one key, one payment


def test_the_same_key_again_gets_the_same_payment(provider, port):
    named = names()
    first = charge(port, **named)
    assert charge(port, **named) == first
    assert charge(port, intent_id=first.intent_id, **named) == first
    assert charged(provider, named["sale_id"]) == USD.minor


def test_a_declined_key_stays_declined_and_a_new_key_pays(provider, port):
    named = names()
    declined = charge(port, "pm_card_visa_chargeDeclined", **named)
    assert charge(port, "pm_card_visa_chargeDeclined", **named) == declined
    assert port.ask(amount=USD, intent_id=declined.intent_id, **named) == declined
    again = charge(port, key="another" + named["key"], sale_id=named["sale_id"])
    assert again.state == "paid"
    assert again.intent_id != declined.intent_id


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("pm_card_visa", "pm_card_visa_chargeDeclined", "paid"),
        ("pm_card_visa_chargeDeclined", "pm_card_visa", "declined"),
    ],
)
def test_another_card_under_the_same_key_changes_nothing(provider, port, first, second, state):
    named = names()
    answer = charge(port, first, **named)
    assert charge(port, second, **named) == answer
    assert answer.state == state


def test_a_key_of_another_amount_or_sale_is_refused(port):
    named = names()
    charge(port, **named)
    with pytest.raises(IdempotencyMismatch):
        charge(port, amount=Money(1_00, "USD"), **named)
    with pytest.raises(IdempotencyMismatch):
        port.ask(amount=USD, key=named["key"], sale_id="sal_other")


def test_a_second_card_while_the_first_is_unknown_is_refused(provider, port):
    named = names()
    plan(provider, "payment_intents.confirm", "error_kept")
    assert charge(port, **named).state == "unknown"
    with pytest.raises(IdempotencyMismatch):
        charge(port, "pm_card_amex", **named)
    assert charged(provider, named["sale_id"]) == 0


@pytest.mark.parametrize(
    "method", ["pm_onym_processing", "pm_onym_unknownThenPaid", "pm_onym_paidThenServerError"]
)
@pytest.mark.parametrize("with_id", [True, False])
def test_charging_again_is_as_good_as_asking(provider, port, method, with_id):
    named = names()
    first = charge(port, method, **named)
    assert first.state == "unknown"
    intent_id = first.intent_id if with_id else None
    until(lambda: charge(port, method, intent_id=intent_id, **named).state == "paid")
    assert charged(provider, named["sale_id"]) == USD.minor


@pytest.mark.parametrize("with_id", [True, False])
def test_a_failure_that_the_provider_remembers_does_not_block_the_payment(provider, port, with_id):
    named = names()
    plan(provider, "payment_intents.confirm", "error_kept")
    first = charge(port, **named)
    assert (first.state, first.reason) == ("unknown", "provider_failed")
    intent_id = first.intent_id if with_id else None
    assert charge(port, intent_id=intent_id, **named).state == "paid"
    assert charged(provider, named["sale_id"]) == USD.minor


def test_a_key_that_the_provider_forgot_after_a_day_still_pays_once(provider, port):
    named = names()
    first = charge(port, **named)
    requests.delete(provider.base + "/demo/keys", timeout=10)
    assert charge(port, **named) == first
    assert port.ask(amount=USD, **named) == first
    assert charged(provider, named["sale_id"]) == USD.minor


def test_twenty_threads_with_one_key_pay_once(provider, port):
    named = names()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: charge(port, **named), range(20)))
    assert {answer.state for answer in answers} <= {"paid", "unknown"}
    assert "paid" in {answer.state for answer in answers}
    assert charged(provider, named["sale_id"]) == USD.minor


def test_a_payment_of_another_amount_or_sale_is_never_paid(port):
    named = names()
    paid = charge(port, **named)
    other = Money(USD.minor - 1, "USD")
    assert port.ask(amount=other, intent_id=paid.intent_id, **named).reason == "differs"
    euro = Money(USD.minor, "EUR")
    assert port.ask(amount=euro, intent_id=paid.intent_id, **named).state == "unknown"
    named["sale_id"] += "x"
    assert port.ask(amount=USD, intent_id=paid.intent_id, **named).reason == "differs"


@pytest.mark.parametrize("amount", [Money(1, "USD"), Money(10**15, "USD")])
def test_an_amount_that_the_provider_does_not_take_is_declined(port, amount):
    answer = charge(port, amount=amount, **names())
    assert answer.state == "declined"
    assert answer.reason in ("amount_too_small", "amount_too_large")


# ---- giving up


@pytest.mark.parametrize(
    ("method", "state"),
    [
        ("pm_onym_lostRequest", "cancelled"),
        ("pm_card_authenticationRequired", "cancelled"),
        ("pm_card_visa_chargeDeclined", "cancelled"),
        ("pm_onym_lostAnswer", "paid"),
        ("pm_onym_unknownForEver", "unknown"),
    ],
)
def test_giving_up_says_what_is_final(port, method, state):
    named = names()
    intent_id = charge(port, method, **named).intent_id
    assert port.cancel(key=named["key"], intent_id=intent_id).state == state
    assert port.cancel(key=named["key"], intent_id=intent_id).state == state


def test_a_payment_under_way_may_be_given_up_once_it_has_failed(provider, port):
    named = names()
    intent_id = charge(port, "pm_onym_unknownForEver", **named).intent_id
    assert port.cancel(key=named["key"], intent_id=intent_id).state == "unknown"
    provider.pull(f"/demo/intents/{intent_id}/settle", outcome="declined")
    assert port.cancel(key=named["key"], intent_id=intent_id).state == "cancelled"


def test_a_charge_whose_creation_was_lost_is_learnt_and_given_up(provider, port):
    named = names()
    plan(provider, "payment_intents.create", "lost")
    assert charge(port, **named).intent_id is None
    asked = port.ask(amount=USD, **named)
    assert (asked.state, asked.reason) == ("unknown", "not_confirmed")
    assert port.cancel(key=named["key"], intent_id=asked.intent_id).state == "cancelled"
    assert port.ask(amount=USD, **named).state == "cancelled"
    assert charge(port, **named).state == "cancelled"
    requests.delete(provider.base + "/demo/keys", timeout=10)
    assert charge(port, intent_id=asked.intent_id, **named).state == "cancelled"


def test_a_buyer_who_must_act_is_sent_to_the_bank_and_pays_there(provider, port):
    named = names()
    answer = charge(
        port, "pm_card_authenticationRequired", return_url="http://127.0.0.1/back", **named
    )
    assert answer.state == "action_needed"
    assert port.ask(amount=USD, **named).state == "action_needed"
    assert answer.action_url == f"{provider.base}/demo/authenticate/{answer.intent_id}"
    assert requests.post(answer.action_url, data={"answer": "yes"}, timeout=10).ok
    assert port.ask(amount=USD, intent_id=answer.intent_id, **named).state == "paid"
