"""The demo's payment provider delivers webhooks and loses nothing that it acknowledged."""

from __future__ import annotations

import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe
from tests.demo.paying import (
    charges,
    make_account,
    make_client,
    make_intent,
    make_provider,
    numbers,
    pay,
    sums,
)
from tests.demo.servers import until

from onym_demo.payments import webhooks


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


# ---- webhooks


class Receiver(ThreadingHTTPServer):
    """Takes webhooks as a market would. `answers` are the next statuses; then all are 200."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hook)
        self.answers, self.taken = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/payments/stripe"

    def kinds(self, good=True):
        return [one["type"] for status, one, right in self.taken if right == good]


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        right = True
        try:
            event = stripe.Webhook.construct_event(
                body, self.headers["Stripe-Signature"], "whsec_a", tolerance=300
            ).to_dict()
        except stripe.SignatureVerificationError:
            event, right, status = json.loads(body), False, 403
        self.server.taken.append((status, event, right))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *parts):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hooked(tmp_path, receiver):
    secrets = ["--webhook-secret", "whsec_b", "--webhook-secret", "whsec_a"]
    program = make_provider(tmp_path / "hooked", "--webhook-url", receiver.url, *secrets)
    yield program
    program.stop()


def all_delivered(provider):
    until(lambda: provider.get("/demo/pending").json()["webhooks"] == 0, seconds=15)


def test_webhooks_pass_the_official_check_and_tell_what_happened(hooked, receiver):
    client = make_client(hooked)
    intent = pay(client, metadata={"sale_id": "sal_1"})
    all_delivered(hooked)
    kinds = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert sorted(receiver.kinds()) == sorted(kinds)
    event = next(one for _, one, _ in receiver.taken if one["type"] == "payment_intent.succeeded")
    assert event["data"]["object"]["id"] == intent.id
    assert event["data"]["object"]["metadata"] == {"sale_id": "sal_1"}
    assert client.events.retrieve(event["id"]).type == event["type"]


def test_a_webhook_is_repeated_until_it_is_taken_and_survives_a_kill(hooked, receiver):
    receiver.answers = [500, 404]
    make_intent(make_client(hooked))
    all_delivered(hooked)
    assert [status for status, *_ in receiver.taken] == [500, 404, 200]
    assert len({one["id"] for _, one, _ in receiver.taken}) == 1

    receiver.answers = [500] * 1000
    make_intent(make_client(hooked))
    until(lambda: len(receiver.taken) > 3)
    hooked.kill()
    receiver.answers = []
    hooked.start()
    all_delivered(hooked)
    assert receiver.taken[-1][0] == 200
    assert len({one["id"] for _, one, _ in receiver.taken}) == 2


@pytest.mark.parametrize(
    ("kind", "seconds", "good", "bad"),
    [
        ("drop", 0, 0, 0),
        ("duplicate", 0, 3, 0),
        ("duplicate", 100, 100, 0),
        ("delay", 0.5, 1, 0),
        ("wrong_signature", 0, 1, 1),
        ("stale_signature", 0, 1, 1),
    ],
)
def test_webhooks_go_wrong_on_demand(hooked, receiver, kind, seconds, good, bad):
    hooked.pull("/demo/faults", verb="webhooks", kind=kind, seconds=seconds)
    started = time.monotonic()
    make_intent(make_client(hooked))
    all_delivered(hooked)
    assert len(receiver.kinds()) == good
    assert len(receiver.kinds(good=False)) == bad
    if kind == "delay":
        assert time.monotonic() - started >= 0.5


def test_webhooks_overtake_one_another_on_demand(hooked, receiver):
    hooked.pull("/demo/faults", verb="webhooks", kind="reorder", seconds=0.4)
    pay(make_client(hooked))
    all_delivered(hooked)
    assert receiver.kinds()[-1] == "payment_intent.created"
    (first, *_) = [one["id"] for _, one, _ in receiver.taken]
    assert hooked.pull(f"/demo/events/{first}/send", times=100).json() == {"queued": 100}
    all_delivered(hooked)
    assert len([one for _, one, _ in receiver.taken if one["id"] == first]) == 101


def test_the_waits_between_deliveries_grow_to_half_a_minute():
    waits = [webhooks.wait_before(attempt) for attempt in range(10)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


# ---- nothing acknowledged is lost


def test_nothing_acknowledged_is_lost_by_kill_9_in_the_middle(tmp_path):
    provider = make_provider(tmp_path)
    said, stop = {}, threading.Event()

    def buy(seed):
        client = make_client(provider)
        while not stop.is_set():
            number = next(numbers)
            amount = 100 + number
            try:
                intent = make_intent(client, amount=amount, metadata={"sale_id": f"sal_{number}"})
                client.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
            except stripe.APIConnectionError:
                return
            said[f"sal_{number}"] = amount

    threads = [threading.Thread(target=buy, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(said) >= 30)
    provider.kill()
    stop.set()
    for thread in threads:
        thread.join()
    provider.start()
    books = provider.get("/demo/books").json()
    assert books["balanced"]
    for sale, amount in said.items():
        assert books["sales"][sale] == {"charge": amount}
    assert len(said) <= len(books["sales"]) <= len(said) + 3
    assert provider.stop() == 0


def test_what_is_under_way_goes_on_after_a_kill(tmp_path):
    provider = make_provider(tmp_path)
    client = make_client(provider)
    intent = pay(client, method="pm_onym_processing")
    assert intent.status == "processing"
    provider.kill()
    provider.start()
    until(lambda: client.payment_intents.retrieve(intent.id).status == "succeeded")
    provider.stop()


def test_the_books_balance_whatever_is_done_in_whatever_order(provider, client):
    chance = random.Random(2023)
    account = make_account(provider, client)
    intents = []
    for _ in range(120):
        step = chance.choice(["pay", "pay", "refund", "transfer", "payout", "dispute", "decline"])
        amount = chance.randint(50, 9_000)
        try:
            if step == "pay":
                intents.append(pay(client, amount=amount).id)
            elif step == "decline":
                pay(client, amount=amount, method="pm_card_visa_chargeDeclined")
            elif step == "refund" and intents:
                wanted = {"payment_intent": chance.choice(intents), "amount": amount}
                client.refunds.create(wanted)
            elif step == "transfer":
                wanted = {"amount": amount, "currency": "usd", "destination": account}
                client.transfers.create(wanted)
            elif step == "payout":
                wanted = {"amount": amount, "currency": "usd"}
                client.payouts.create(wanted, {"stripe_account": account})
            elif intents:
                provider.pull("/demo/disputes", payment_intent=chance.choice(intents))
        except (stripe.CardError, stripe.InvalidRequestError):
            pass
    found = sums(provider)
    out = found["platform"] + found["paid_out"] + found["disputed"]
    assert found["in"] == out + sum(found["accounts"].values())
    captured = sum(one.amount_captured - one.amount_refunded for one in charges(client))
    assert found["in"] == captured
