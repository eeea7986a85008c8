"""The payments port against a real provider process, over the official SDK."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import stripe as sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.demo.servers import Program, until

from onym.core.errors import IdempotencyMismatch, Malformed, NotAllowed, PlatformUnavailable
from onym.core.money import Money
from onym.ports.payments import NOT_FOUND, Charge, Effect
from onym.ports.stripe import StripePayments

USD = Money(525_00, "USD")
SECRETS = ("whsec_new", "whsec_old")
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    program = Program(
        "onym_demo.payments", tmp_path_factory.mktemp("payments"), ["--settle-seconds", "0.3"]
    ).start()
    yield program
    program.stop()


@pytest.fixture(scope="module")
def port(provider):
    return make_port(provider)


@pytest.fixture(autouse=True)
def _no_faults_left(provider):
    yield
    if provider.process.poll() is not None:
        provider.start()
    requests.delete(provider.base + "/demo/faults", timeout=10)


def make_port(provider, timeout=5.0):
    return StripePayments(
        api_key="sk_test_onym",
        api_base=provider.base,
        webhook_secrets=SECRETS,
        timeout=timeout,
    )


def names():
    """A fresh (key, sale id)."""
    number = next(numbers)
    return {"key": f"pay-{number}", "sale_id": f"sal_{number}"}


def charge(port, method="pm_card_visa", amount=USD, **named):
    return port.charge(method=method, amount=amount, description="Handle @moon", **named)


def charged(provider, sale_id):
    """What the provider's own books say was taken for a sale."""
    return provider.get("/demo/books").json()["sales"].get(sale_id, {}).get("charge", 0)


def plan(provider, verb, kind, **wanted):
    assert provider.pull("/demo/faults", verb=verb, kind=kind, **wanted).ok


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


# ---- money out


def paid(port, **named):
    answer = charge(port, **named)
    assert answer.state == "paid"
    return answer.intent_id


def refunded(provider, sale_id):
    return provider.get("/demo/books").json()["sales"][sale_id].get("refund", 0)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("lost", "done"),
        ("error_after", "done"),
        ("silent", "not_found"),
        ("error", "not_found"),
        ("rate_limit", "not_found"),
    ],
)
def test_an_unknown_refund_is_asked_about_and_leaves_once(provider, port, kind, asked):
    named = names()
    about = {**named, "intent_id": paid(port, **named), "amount": USD}
    plan(provider, "refunds.create", kind)
    assert port.refund(**about).state == "unknown"
    found = port.ask_refund(**about)
    assert found.state == "done" if asked == "done" else found == NOT_FOUND
    assert port.refund(**about).state == "done"
    requests.delete(provider.base + "/demo/keys", timeout=10)
    assert port.refund(**about).state == "done"
    assert refunded(provider, named["sale_id"]) == -USD.minor


def test_a_refund_whose_failure_is_remembered_waits_for_a_new_key(provider, port):
    named = names()
    about = {"intent_id": paid(port, **named), "amount": USD, "sale_id": named["sale_id"]}
    plan(provider, "refunds.create", "error_kept")
    for _ in range(3):
        answer = port.refund(key=named["key"], **about)
        assert answer == Effect("unknown", None, "provider_failed")
    assert port.ask_refund(key=named["key"], **about) == NOT_FOUND
    assert port.refund(key="new" + named["key"], **about).state == "done"


def test_a_refund_may_be_pending_fail_later_or_be_refused(provider, port):
    named = names()
    about = {**named, "intent_id": charge(port, "pm_card_pendingRefund", **named).intent_id}
    assert port.refund(amount=USD, **about).reason == "pending"
    until(lambda: port.ask_refund(amount=USD, **about).state == "done")

    named = names()
    about = {**named, "intent_id": charge(port, "pm_card_refundFail", **named).intent_id}
    assert port.refund(amount=USD, **about).state == "done"
    until(lambda: port.ask_refund(amount=USD, **about).state == "refused")

    named = names()
    about = {**named, "intent_id": paid(port, **named)}
    assert port.refund(amount=USD + USD, **about) == Effect(
        "refused", None, "refund_amount_too_large"
    )
    assert refunded(provider, named["sale_id"]) == 0


def test_a_key_of_another_refund_or_payout_is_refused(provider, port, account):
    named = names()
    about = {**named, "intent_id": paid(port, **named)}
    small = Money(1_00, "USD")
    assert port.refund(amount=small, **about).state == "done"
    with pytest.raises(IdempotencyMismatch):
        port.refund(amount=Money(2_00, "USD"), **about)
    assert port.pay_out(account=account, amount=small, **named).state == "done"
    with pytest.raises(IdempotencyMismatch):
        port.pay_out(account=account, amount=Money(2_00, "USD"), **named)
    with pytest.raises(IdempotencyMismatch):
        port.pay_out(account="acct_other", amount=small, **named)


@pytest.fixture(scope="module")
def account(provider, port):
    """A seller's account that may be paid."""
    made = port.connect(key="connect-seller", mail="seller@people.example")
    assert not port.account_ready(made)
    link = port.account_link(account=made, return_url="http://127.0.0.1/back")
    assert requests.post(link, timeout=10).ok
    assert port.account_ready(made)
    return made


def test_connecting_twice_under_one_key_is_one_account(port, account):
    assert port.connect(key="connect-seller", mail="seller@people.example") == account
    with pytest.raises(Malformed):
        port.connect(key="connect-nobody", mail="no address")
    with pytest.raises(Malformed):
        port.account_ready("acct_none")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("lost", "done"), ("error_after", "done"), ("silent", "not_found"), ("error", "not_found")],
)
def test_an_unknown_payout_is_asked_about_and_leaves_once(provider, port, account, kind, asked):
    named = names()
    paid(port, **named)
    about = {**named, "account": account, "amount": Money(500_00, "USD")}
    plan(provider, "transfers.create", kind)
    assert port.pay_out(**about).state == "unknown"
    found = port.ask_pay_out(**about)
    assert found.state == "done" if asked == "done" else found == NOT_FOUND
    assert port.pay_out(**about).state == "done"
    requests.delete(provider.base + "/demo/keys", timeout=10)
    assert port.pay_out(**about).state == "done"
    sums = provider.get("/demo/books").json()["sales"][named["sale_id"]]
    assert sums == {"charge": USD.minor, "transfer": -500_00}


def test_a_payout_is_refused_without_details_an_account_or_money(provider, port, account):
    unready = port.connect(key=names()["key"], mail="new@people.example")
    for to, amount, reason in [
        (unready, USD, "insufficient_capabilities_for_transfer"),
        ("acct_none", USD, "resource_missing"),
        (account, Money(10**12, "USD"), "balance_insufficient"),
    ]:
        assert port.pay_out(account=to, amount=amount, **names()) == Effect("refused", None, reason)


@pytest.mark.parametrize("verb", ["refunds.list", "transfers.list"])
def test_no_money_leaves_while_the_provider_does_not_say_whether_it_left(
    provider, port, account, verb
):
    named = names()
    intent_id = paid(port, **named)
    plan(provider, verb, "error", times=1)
    if verb == "refunds.list":
        answer = port.refund(intent_id=intent_id, amount=USD, **named)
    else:
        answer = port.pay_out(account=account, amount=USD, **named)
    assert answer == Effect("unknown", None, "provider_failed")
    assert provider.get("/demo/books").json()["sales"][named["sale_id"]] == {"charge": USD.minor}


# ---- the provider dies


@pytest.mark.parametrize(("kind", "taken"), [("crash_before", 0), ("crash_after", USD.minor)])
def test_the_provider_killed_at_the_commit_charges_once_in_the_end(provider, port, kind, taken):
    named = names()
    plan(provider, "payment_intents.confirm", kind)
    answer = charge(port, **named)
    assert (answer.state, answer.reason) == ("unknown", "no_answer")
    assert provider.died()
    assert port.ask(amount=USD, intent_id=answer.intent_id, **named).state == "unknown"
    provider.start()
    assert charged(provider, named["sale_id"]) == taken
    assert charge(port, **named).state == "paid"
    assert charged(provider, named["sale_id"]) == USD.minor


# ---- whatever happens, at most once

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["charge", "charge_blind", "ask", "ask_blind", "cancel", "forget"]),
        st.sampled_from(
            ["", "", "lost", "silent", "error", "error_kept", "error_after", "rate_limit"]
        ),
        st.sampled_from(["payment_intents.create", "charges.list", "payment_intents.confirm", "*"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_any_order_of_calls_and_faults_under_one_key_charges_at_most_once(provider, port, steps):
    """Blind calls do not know the payment's id. After giving up, callers do: see `cancel`."""
    named, intent_id, said = names(), None, set()
    for step, kind, verb in steps:
        if step.endswith("blind") and "cancelled" in said:
            continue
        if kind:
            plan(provider, verb, kind)
        answer = act(provider, port, step, intent_id, named)
        requests.delete(provider.base + "/demo/faults", timeout=10)
        if answer is not None:
            said.add(answer.state)
            intent_id = answer.intent_id or intent_id
        assert charged(provider, named["sale_id"]) in (0, USD.minor)
    truth = port.ask(amount=USD, intent_id=intent_id, **named)
    assert (truth.state == "paid") == (charged(provider, named["sale_id"]) == USD.minor)
    assert "paid" not in said or truth.state == "paid"
    assert "cancelled" not in said or truth.state == "cancelled"


def act(provider, port, step, intent_id, named):
    if step == "charge":
        return charge(port, intent_id=intent_id, **named)
    if step == "charge_blind":
        return charge(port, **named)
    if step == "ask":
        return port.ask(amount=USD, intent_id=intent_id, **named)
    if step == "ask_blind":
        return port.ask(amount=USD, **named)
    if step == "cancel" and intent_id:
        return port.cancel(key=named["key"], intent_id=intent_id)
    requests.delete(provider.base + "/demo/keys", timeout=10)
    return None


# ---- webhooks are hints, and only from those who hold a key

NOW = 1_800_000_000.0
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_799_999_999,
    "data": {
        "object": {
            "id": "pi_1",
            "object": "payment_intent",
            "metadata": {"sale_id": "sal_1", "key": "k"},
        }
    },
}


def sign(payload, secret, at=NOW):
    mark = hmac.new(secret.encode(), f"{int(at)}.".encode() + payload, hashlib.sha256)
    return f"t={int(at)},v1={mark.hexdigest()}"


def test_a_webhook_says_which_payment_it_is_about(port):
    payload = json.dumps(EVENT).encode()
    hint = port.read_webhook(payload=payload, signature=sign(payload, "whsec_new"), now=NOW)
    assert (hint.id, hint.kind) == ("evt_1", "payment_intent.succeeded")
    assert (hint.intent_id, hint.sale_id) == ("pi_1", "sal_1")


def test_the_signature_we_accept_is_the_one_the_official_sdk_accepts(port):
    payload = json.dumps(EVENT).encode()
    header = sign(payload, "whsec_old")
    assert sdk.WebhookSignature.verify_header(payload.decode(), header, "whsec_old", None)
    assert port.read_webhook(payload=payload, signature=header, now=NOW).id == "evt_1"


@pytest.mark.parametrize(
    ("about", "intent_id", "account_id"),
    [
        ({"object": "refund", "id": "re_1", "payment_intent": "pi_2"}, "pi_2", ""),
        ({"object": "dispute", "id": "dp_1", "payment_intent": "pi_3"}, "pi_3", ""),
        ({"object": "account", "id": "acct_1"}, "", "acct_1"),
        ({"object": "transfer", "id": "tr_1", "metadata": None}, "", ""),
        ({"object": "charge", "payment_intent": {"id": "pi_4"}}, "", ""),
    ],
)
def test_other_webhooks_name_what_they_can(port, about, intent_id, account_id):
    payload = json.dumps(EVENT | {"data": {"object": about}}).encode()
    hint = port.read_webhook(payload=payload, signature=sign(payload, "whsec_new"), now=NOW)
    assert (hint.intent_id, hint.account_id) == (intent_id, account_id)


PAYLOAD = json.dumps(EVENT).encode()
GOOD = sign(PAYLOAD, "whsec_new")


@pytest.mark.parametrize(
    ("payload", "signature", "refusal"),
    [
        (PAYLOAD, sign(PAYLOAD, "whsec_of_somebody_else"), NotAllowed),
        (PAYLOAD.replace(b"pi_1", b"pi_2"), GOOD, NotAllowed),
        (PAYLOAD, sign(PAYLOAD, "whsec_new", NOW - 301), NotAllowed),
        (PAYLOAD, sign(PAYLOAD, "whsec_new", NOW + 301), NotAllowed),
        (PAYLOAD, sign(PAYLOAD, ""), NotAllowed),
        (PAYLOAD, GOOD.replace("v1=", "v0="), Malformed),
        (PAYLOAD, "", Malformed),
        (PAYLOAD, "t=,v1=", Malformed),
        (PAYLOAD, "t=soon,v1=00", Malformed),
        (PAYLOAD, GOOD + ",t=1", Malformed),
        (PAYLOAD, f"t={int(NOW)}", Malformed),
        (PAYLOAD, f"t={int(NOW)},v1=ÿ", NotAllowed),
        (b"{", sign(b"{", "whsec_new"), Malformed),
        (b"[]", sign(b"[]", "whsec_new"), Malformed),
        (b"\xff", sign(b"\xff", "whsec_new"), Malformed),
        (b"[" * 100_000, sign(b"[" * 100_000, "whsec_new"), Malformed),
        (b"{}", sign(b"{}", "whsec_new"), Malformed),
        (b" " * 1_000_001, sign(b" " * 1_000_001, "whsec_new"), Malformed),
    ],
)
def test_a_webhook_of_a_stranger_or_of_another_time_is_refused(port, payload, signature, refusal):
    with pytest.raises(refusal):
        port.read_webhook(payload=payload, signature=signature, now=NOW)


@pytest.mark.parametrize("at", [NOW - 300, NOW, NOW + 300])
def test_a_webhook_within_five_minutes_of_our_clock_is_read(port, at):
    assert port.read_webhook(payload=PAYLOAD, signature=sign(PAYLOAD, "whsec_old", at), now=NOW)
    both = GOOD + "," + sign(PAYLOAD, "whsec_gone").partition(",")[2]
    assert port.read_webhook(payload=PAYLOAD, signature=both, now=NOW)


def test_without_a_secret_no_webhook_is_read(provider):
    port = StripePayments(api_key="sk_test_onym", api_base=provider.base, webhook_secrets=("",))
    with pytest.raises(NotAllowed):
        port.read_webhook(payload=PAYLOAD, signature=sign(PAYLOAD, ""), now=NOW)
