"""The payments port sends money out once, outlives its provider, and reads its webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import requests
import stripe as sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.demo.servers import until
from tests.ports.paying import USD, charge, charged, names, plan

from onym.core.errors import IdempotencyMismatch, Malformed, NotSignedIn
from onym.core.money import Money
from onym.ports.payments import NOT_FOUND, Effect
from onym.ports.stripe import StripePayments

pytestmark = pytest.mark.usefixtures("calm")


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
    told = port.account(made)
    assert (told.ready, told.missing) == (False, ("external_account",))
    link = port.account_link(
        account=made, return_url="http://127.0.0.1/back", refresh_url="http://127.0.0.1/again"
    )
    assert requests.post(link, timeout=10).ok
    assert port.account(made).ready
    return made


def test_connecting_twice_under_one_key_is_one_account(port, account):
    assert port.connect(key="connect-seller", mail="seller@people.example") == account
    with pytest.raises(Malformed):
        port.connect(key="connect-nobody", mail="no address")
    with pytest.raises(Malformed):
        port.account("acct_none")


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
        (PAYLOAD, sign(PAYLOAD, "whsec_of_somebody_else"), NotSignedIn),
        (PAYLOAD.replace(b"pi_1", b"pi_2"), GOOD, NotSignedIn),
        (PAYLOAD, sign(PAYLOAD, "whsec_new", NOW - 301), NotSignedIn),
        (PAYLOAD, sign(PAYLOAD, "whsec_new", NOW + 301), NotSignedIn),
        (PAYLOAD, sign(PAYLOAD, ""), NotSignedIn),
        (PAYLOAD, GOOD.replace("v1=", "v0="), Malformed),
        (PAYLOAD, "", Malformed),
        (PAYLOAD, "t=,v1=", Malformed),
        (PAYLOAD, "t=soon,v1=00", Malformed),
        (PAYLOAD, GOOD + ",t=1", Malformed),
        (PAYLOAD, f"t={int(NOW)}", Malformed),
        (PAYLOAD, f"t={int(NOW)},v1=ÿ", NotSignedIn),
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
    with pytest.raises(NotSignedIn):
        port.read_webhook(payload=PAYLOAD, signature=sign(PAYLOAD, ""), now=NOW)
