"""The demo's payment provider as a process, driven by the official SDK and by plain HTTP."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import stripe
from hypothesis import given
from hypothesis import strategies as st
from tests.demo.paying import (
    KEY,
    make_account,
    make_client,
    make_intent,
    make_provider,
    pay,
    post,
    sums,
)
from tests.demo.servers import until

from onym_demo.clock import Clock
from onym_demo.payments import page, wire


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    clock = tmp_path_factory.mktemp("clock") / "offset"
    program = make_provider(tmp_path_factory.mktemp("payments"), "--clock-file", str(clock))
    program.clock = clock
    yield program
    program.stop()


@pytest.fixture(scope="module")
def client(provider):
    return make_client(provider)


# ---- the wire


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        ("a[0][b]=x&a[1][b]=y", {"a": [{"b": "x"}, {"b": "y"}]}),
        ("metadata[sale_id]=sal_1%26", {"metadata": {"sale_id": "sal_1&"}}),
        ("", {}),
    ],
)
def test_bracketed_fields_become_objects_and_lists(form, read):
    assert wire.read_form(form) == read


@given(st.text(max_size=80))
def test_any_form_is_read_or_refused(form):
    with contextlib.suppress(wire.WireError, ValueError):
        assert isinstance(wire.read_form(form), dict)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (5_250_000, "usd", "52,500.00 USD"),
        (-5, "eur", "−0.05 EUR"),
        (1234, "jpy", "1,234 JPY"),
        (1234, "kwd", "1.234 KWD"),
        (0, "usd", "0.00 USD"),
    ],
)
def test_money_is_written_without_floats(minor, currency, text):
    assert page.money(minor, currency) == text


def test_the_market_s_clock_is_the_machine_s_plus_the_offset_in_the_file(tmp_path):
    path = tmp_path / "offset"
    clock = Clock(path)
    assert clock.offset() == 0
    path.write_text("86400\n")
    assert clock.offset() == 86_400
    (tmp_path / "new").write_text("-5")
    (tmp_path / "new").replace(path)
    assert clock.offset() == -5
    assert abs(clock.market() - time.time() + 5) < 1


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        ("/v1/payment_intents", {"currency": "usd"}, 400, "parameter_missing"),
        ("/v1/payment_intents", {"amount": "5000"}, 400, "parameter_missing"),
        (
            "/v1/payment_intents",
            {"amount": "5e3", "currency": "usd"},
            400,
            "parameter_invalid_integer",
        ),
        (
            "/v1/payment_intents",
            {"amount": "-1", "currency": "usd"},
            400,
            "parameter_invalid_integer",
        ),
        ("/v1/payment_intents", {"amount": "1", "currency": "usd"}, 400, "amount_too_small"),
        (
            "/v1/payment_intents",
            {"amount": "1" + "0" * 14, "currency": "usd"},
            400,
            "amount_too_large",
        ),
        (
            "/v1/payment_intents",
            {"amount": "5000", "currency": "usd", "colour": "red"},
            400,
            "parameter_unknown",
        ),
        ("/v1/payment_intents/pi_none/confirm", {}, 404, "resource_missing"),
        ("/v1/refunds", {"payment_intent": "pi_none"}, 404, "resource_missing"),
        ("/v1/nothing", {}, 404, None),
    ],
)
def test_a_request_that_makes_no_sense_gets_an_error_object(provider, path, fields, status, code):
    answer = post(provider, path, **fields)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error.get("code") == code
    assert answer.headers["Request-Id"].startswith("req_")


def test_a_wrong_key_a_strange_host_and_a_huge_body_are_refused(provider):
    url = provider.base + "/v1/balance"
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=("sk_test_other", ""), timeout=5).status_code == 401
    assert requests.get(url, auth=KEY, timeout=5).status_code == 200
    strange = requests.get(url, auth=KEY, headers={"Host": "attacker.example"}, timeout=5)
    assert strange.status_code == 400
    big = requests.post(provider.base + "/v1/payment_intents", "a" * 100_001, auth=KEY, timeout=5)
    assert big.status_code == 413
    nobody = requests.get(url, auth=KEY, headers={"Stripe-Account": "acct_no"}, timeout=5)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (403, "account_invalid")


def test_it_listens_on_loopback_only(provider):
    with open("/proc/net/tcp") as table:
        listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    ours = [one for one in listening if one.endswith(f":{provider.port:04X}")]
    assert ours == [f"0100007F:{provider.port:04X}"]


def test_it_is_small(provider):
    provider.get("/")
    assert provider.pss_mb() < 60


# ---- idempotency


def test_the_same_key_and_payload_get_the_same_answer_and_say_so(provider):
    fields = {"amount": "5000", "currency": "usd", "metadata[key]": "same"}
    first = post(provider, "/v1/payment_intents", "i-1", **fields)
    again = post(provider, "/v1/payment_intents", "i-1", **fields)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Idempotency-Key"] == "i-1"


def test_another_payload_under_the_same_key_is_an_idempotency_error(provider):
    post(provider, "/v1/payment_intents", "i-2", amount="5000", currency="usd")
    for path, amount in (("/v1/payment_intents", "5001"), ("/v1/refunds", "5000")):
        answer = post(provider, path, "i-2", amount=amount, currency="usd")
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")


def test_a_twin_of_a_request_under_way_is_a_conflict(provider):
    provider.pull("/demo/faults", verb="payment_intents.create", kind="slow", seconds=0.6)
    fields = {"amount": "5000", "currency": "usd"}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, provider, "/v1/payment_intents", "i-3", **fields)
        until(lambda: provider.get("/demo/faults").json()["planned"] == [])
        twin = post(provider, "/v1/payment_intents", "i-3", **fields)
    assert (twin.status_code, twin.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert first.result().status_code == 200
    again = post(provider, "/v1/payment_intents", "i-3", **fields)
    assert again.json() == first.result().json()


def test_declines_and_server_errors_are_remembered_but_bad_fields_are_not(provider, client):
    intent = make_intent(client)
    path = f"/v1/payment_intents/{intent.id}/confirm"
    declined = post(provider, path, "i-4", payment_method="pm_card_visa_chargeDeclined")
    assert declined.status_code == 402
    replayed = post(provider, path, "i-4", payment_method="pm_card_visa_chargeDeclined")
    assert (replayed.status_code, replayed.json()) == (402, declined.json())
    assert len(client.charges.list({"payment_intent": intent.id}).data) == 1

    assert post(provider, "/v1/payment_intents", "i-5", currency="usd").status_code == 400
    good = post(provider, "/v1/payment_intents", "i-5", currency="usd", amount="5000")
    assert good.status_code == 200

    for kind, then in (("error", 200), ("error_kept", 500), ("error_after", 500)):
        provider.pull("/demo/faults", verb="payment_intents.create", kind=kind)
        fields = {"amount": "5000", "currency": "usd", "metadata[kind]": kind}
        assert post(provider, "/v1/payment_intents", kind, **fields).status_code == 500
        assert post(provider, "/v1/payment_intents", kind, **fields).status_code == then
        made = client.payment_intents.search({"query": f"metadata['kind']:'{kind}'"}).data
        assert len(made) == (0 if kind == "error_kept" else 1)


def test_a_refused_request_leaves_nothing_behind(provider, client):
    with pytest.raises(stripe.InvalidRequestError):
        make_intent(client, confirm=True, payment_method="pm_none", metadata={"left": "behind"})
    with pytest.raises(stripe.InvalidRequestError):
        make_intent(client, confirm=True, metadata={"left": "behind"})
    found = client.payment_intents.search({"query": "metadata['left']:'behind'"})
    assert found.data == []


def test_a_key_counts_for_one_account(provider, client):
    account = make_account(provider, client)
    pay(client)
    client.transfers.create({"amount": 200, "currency": "usd", "destination": account})
    headers = {"Idempotency-Key": "i-6", "Stripe-Account": account}
    fields = {"amount": "100", "currency": "usd"}
    for _ in range(2):
        url = provider.base + "/v1/payouts"
        theirs = requests.post(url, fields, auth=KEY, headers=headers, timeout=5).json()
    ours = post(provider, "/v1/payouts", "i-6", **fields).json()
    assert theirs["id"] != ours["id"]
    assert sums(provider)["accounts"][account] == 100


# ---- what the official SDK does


def test_a_payment_is_created_confirmed_and_found_again(provider, client):
    intent = make_intent(
        client,
        metadata={"sale_id": "sal_found", "key": "k-found"},
        transfer_group="sal_found",
        allowed_payment_method_types=["card"],
    )
    assert intent.status == "requires_payment_method"
    client.payment_intents.update(intent.id, {"description": "Handle @moon"})
    paid = client.payment_intents.confirm(
        intent.id,
        {"payment_method": "pm_card_visa", "expand": ["latest_charge.balance_transaction"]},
    )
    assert (paid.status, paid.amount_received) == ("succeeded", 5000)
    assert paid.latest_charge.balance_transaction.amount == 5000
    assert paid.description == "Handle @moon"
    by_group = client.charges.list({"transfer_group": "sal_found"}).data
    by_search = client.payment_intents.search({"query": "metadata['sale_id']:'sal_found'"}).data
    assert [one.id for one in by_group] == [paid.latest_charge.id]
    assert [one.id for one in by_search] == [intent.id]
    assert client.payment_methods.retrieve("pm_card_visa").card.last4 == "4242"


def test_lists_are_paged_both_ways_and_newest_first(client):
    made = [make_intent(client, metadata={"page": "p"}).id for _ in range(7)]
    listed = client.payment_intents.list({"limit": 3})
    assert [one.id for one in listed.data] == made[:-4:-1]
    assert listed.has_more
    everything = [one.id for one in listed.auto_paging_iter()]
    assert everything[:7] == made[::-1]
    assert len(everything) == len(set(everything))
    before = client.payment_intents.list({"limit": 3, "ending_before": made[2]})
    assert [one.id for one in before.data] == [made[5], made[4], made[3]]
    found = client.payment_intents.search({"query": "metadata['page']:'p'", "limit": 2})
    assert len(list(found.auto_paging_iter())) == 7
    with pytest.raises(stripe.InvalidRequestError):
        client.payment_intents.list({"starting_after": "pi_none"})
    with pytest.raises(stripe.InvalidRequestError):
        client.payment_intents.search({"query": "amount>5"})


def test_an_authorised_payment_is_captured_in_part_or_cancelled(provider, client):
    before = sums(provider)["in"]
    intent = pay(client, capture_method="manual")
    assert (intent.status, sums(provider)["in"]) == ("requires_capture", before)
    with pytest.raises(stripe.InvalidRequestError):
        client.payment_intents.capture(intent.id, {"amount_to_capture": 5001})
    captured = client.payment_intents.capture(intent.id, {"amount_to_capture": 3000})
    assert (captured.status, captured.amount_received) == ("succeeded", 3000)
    assert sums(provider)["in"] == before + 3000
    other = pay(client, capture_method="manual")
    assert client.payment_intents.cancel(other.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.payment_intents.confirm(other.id, {"payment_method": "pm_card_visa"})
    assert caught.value.code == "payment_intent_unexpected_state"
    assert sums(provider)["in"] == before + 3000


def refund_code(client, intent, amount):
    try:
        client.refunds.create({"payment_intent": intent.id, "amount": amount})
    except stripe.InvalidRequestError as error:
        return error.code
    return None


def test_no_more_is_refunded_than_was_captured(provider, client):
    before = sums(provider)["in"]
    intent = pay(client)
    client.refunds.create({"payment_intent": intent.id, "amount": 2000})
    assert refund_code(client, intent, 3001) == "refund_amount_too_large"
    assert refund_code(client, intent, 3000) is None
    assert refund_code(client, intent, 1) == "charge_already_refunded"
    assert client.charges.retrieve(intent.latest_charge).refunded
    assert sums(provider)["in"] == before
    with pytest.raises(stripe.InvalidRequestError):
        client.refunds.create({"payment_intent": make_intent(client).id})


def test_money_goes_to_an_account_from_there_to_a_bank_and_no_further(provider, client):
    account = make_account(provider, client)
    pay(client)
    before = sums(provider)
    transfer = client.transfers.create(
        {"amount": 1000, "currency": "usd", "destination": account, "transfer_group": "sal_t"}
    )
    listed = client.transfers.list({"destination": account, "transfer_group": "sal_t"}).data
    assert [one.id for one in listed] == [transfer.id]
    theirs = {"stripe_account": account}
    assert client.balance.retrieve(None, theirs).available[0].amount == 1000
    payout = client.payouts.create({"amount": 600, "currency": "usd"}, theirs)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.payouts.create({"amount": 401, "currency": "usd"}, theirs)
    assert caught.value.code == "balance_insufficient"
    until(lambda: client.payouts.retrieve(payout.id, None, theirs).status == "paid")
    until(lambda: provider.get("/demo/pending").json()["timers"] == 0)
    arrived = [one.data.object.id for one in client.events.list({"type": "payout.paid"}).data]
    assert arrived.count(payout.id) == 1
    lines = client.balance_transactions.list(None, theirs).data
    assert [(one.type, one.amount) for one in lines] == [("payout", -600), ("transfer", 1000)]
    reversal = client.transfers.reversals.create(transfer.id, {"amount": 400})
    assert reversal.amount == 400
    after = sums(provider)
    assert after["accounts"][account] == 0
    assert after["platform"] - before["platform"] == -600
    assert after["paid_out"] - before.get("paid_out", 0) == 600


def test_a_dispute_takes_the_money_back_and_only_a_won_one_returns_it(provider, client):
    before = sums(provider)["platform"]
    intent = pay(client, method="pm_card_createDispute")
    (dispute,) = client.disputes.list({"payment_intent": intent.id}).data
    assert (dispute.status, dispute.amount, dispute.reason) == (
        "needs_response",
        5000,
        "fraudulent",
    )
    assert sums(provider)["platform"] == before
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"
    sent = client.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "sold"}})
    assert sent.status == "under_review"
    assert provider.pull(f"/demo/disputes/{dispute.id}/end", outcome="won").ok
    assert sums(provider)["platform"] == before + 5000
    assert provider.pull(f"/demo/disputes/{dispute.id}/end", outcome="lost").status_code == 400

    later = pay(client)
    opened = provider.pull("/demo/disputes", payment_intent=later.id).json()
    assert client.disputes.close(opened["id"]).status == "lost"
    assert sums(provider)["platform"] == before + 5000
    assert provider.pull("/demo/disputes", payment_intent=later.id).status_code == 400


def test_objects_carry_the_market_s_time(provider, client):
    provider.clock.write_text("864000")
    later = make_intent(client).created
    provider.clock.write_text("0")
    assert later - make_intent(client).created in range(864_000 - 5, 864_001)


# ---- pages


def test_the_overview_shows_where_the_money_is(provider, client):
    pay(client, amount=1_234_567, metadata={"sale_id": "sal_<b>shown"})
    shown = provider.get("/")
    assert "12,345.67 USD" in shown.text
    assert "In = out." in shown.text
    assert "sal_&lt;b&gt;shown" in shown.text
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert "prefers-color-scheme: dark" in provider.get("/style.css").text


@pytest.mark.parametrize(
    ("answer", "status"), [("yes", "succeeded"), ("no", "requires_payment_method")]
)
def test_the_bank_s_page_asks_the_buyer(provider, client, answer, status):
    intent = make_intent(client)
    asked = client.payment_intents.confirm(
        intent.id,
        {
            "payment_method": "pm_card_threeDSecure2Required",
            "return_url": "https://market.example/sale",
        },
    )
    url = asked.next_action.redirect_to_url.url
    shown = requests.get(url, timeout=5).text
    assert "50.00 USD" in shown
    assert "https://market.example/sale" in shown
    foreign = requests.post(
        url, {"answer": "yes"}, headers={"Origin": "https://attacker.example"}, timeout=5
    )
    assert foreign.status_code == 403
    assert client.payment_intents.retrieve(intent.id).status == "requires_action"
    assert requests.post(url, {"answer": answer}, timeout=5).ok
    assert client.payment_intents.retrieve(intent.id).status == status


def test_the_holder_gives_details_on_the_provider_s_page(provider, client):
    account = client.accounts.create({"type": "express", "email": "new@people.example"})
    link = client.account_links.create(
        {
            "account": account.id,
            "type": "account_onboarding",
            "return_url": "javascript:alert(1)",
            "refresh_url": "https://market.example/",
        }
    )
    assert "javascript" not in requests.get(link.url, timeout=5).text
    assert not client.accounts.retrieve(account.id).payouts_enabled
    requests.post(link.url, timeout=5)
    assert client.accounts.retrieve(account.id).payouts_enabled
    assert provider.get("/demo/onboard/acct_none").status_code == 404


def test_levers_take_json_objects_only(provider):
    url = provider.base + "/demo/faults"
    for body, kind, status in (
        ("verb=*", "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"kind": "nonsense"}', "application/json", 400),
        ('{"kind": "lost", "times": "many"}', "application/json", 400),
        ('{"kind": "drop"}', "application/json", 400),
    ):
        answer = requests.post(url, body, headers={"Content-Type": kind}, timeout=5)
        assert answer.status_code == status
    assert provider.get("/demo/faults").json() == {"planned": []}
