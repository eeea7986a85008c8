"""The port beside a server in Stripe's format that nobody here wrote, through the official SDK.

What localstripe lacks (keys, Connect, transfers, disputes, confirming with a method) is tested
against the demo's provider; docs/guides/payments.md says what follows from which.
"""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe
from tests.demo.servers import free_port

from onym.core.errors import NotSignedIn
from onym.core.money import Money
from onym.ports.stripe import StripePayments

KEY, SECRET = "sk_test_onym", "whsec_of_ours"
AMOUNT = Money(63_000, "USD")
WRAPPER = Path(__file__).with_name("localstripe_loopback.py")


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, str(WRAPPER), "--port", str(port), "--from-scratch"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]  # plain keywords
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def sdk(base: str) -> Any:
    return stripe.StripeClient(
        KEY,
        base_addresses={"api": base},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=5),
    ).v1


@pytest.fixture(scope="module")
def port(base: str) -> StripePayments:
    return StripePayments(api_key=KEY, api_base=base, webhook_secrets=(SECRET,), timeout=5)


def method(sdk: Any, number: str) -> str:
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    return str(sdk.payment_methods.create({"type": "card", "card": card}).id)


VISA, ASKS = "4242424242424242", "4000000000003220"


def paid(sdk: Any, sale: str, *, card: str = VISA, **changes: Any) -> Any:
    asked = {
        "amount": AMOUNT.minor,
        "currency": "usd",
        "payment_method": method(sdk, card),
        "metadata": {"sale_id": sale, "key": f"pay_{sale}"},
        "confirm": True,
    }
    return sdk.payment_intents.create(asked | changes)


def state(port: StripePayments, intent: Any, sale: str, amount: Money = AMOUNT) -> Any:
    return port.ask(key=f"pay_{sale}", amount=amount, sale_id=sale, intent_id=intent.id)


def test_a_payment_captured_by_itself_is_paid_and_only_for_what_was_asked(
    sdk: Any, port: StripePayments
) -> None:
    intent = paid(sdk, "sal_auto", capture_method="automatic")
    said = state(port, intent, "sal_auto")
    assert (said.state, said.captured_minor) == ("paid", 63_000)
    other = state(port, intent, "sal_auto", Money(63_001, "USD"))
    assert (other.state, other.reason) == ("unknown", "differs")
    assert state(port, intent, "sal_other").reason == "differs"


def test_a_payment_that_is_only_authorised_is_not_paid_until_it_is_captured(
    sdk: Any, port: StripePayments
) -> None:
    intent = paid(sdk, "sal_manual", capture_method="manual")
    said = state(port, intent, "sal_manual")
    assert (said.state, said.captured_minor) == ("authorised", 0)
    about = {"key": "pay_sal_manual", "amount": AMOUNT, "sale_id": "sal_manual"}
    assert port.capture(intent_id=intent.id, **about).state == "paid"
    assert state(port, intent, "sal_manual").state == "paid"


def test_an_authorisation_may_be_given_up(sdk: Any, port: StripePayments) -> None:
    intent = paid(sdk, "sal_given_up", capture_method="manual")
    assert port.cancel(key="pay_sal_given_up", intent_id=intent.id).state == "cancelled"
    assert state(port, intent, "sal_given_up").state == "cancelled"


def answer(base: str, intent: Any, *, success: bool) -> None:
    """The buyer's word at the bank, by localstripe's own door."""
    told = requests.post(
        f"{base}/v1/payment_intents/{intent.id}/_authenticate",
        data={
            "key": "pk_test_onym",
            "client_secret": intent.client_secret,
            "success": str(success).lower(),
        },
        timeout=5,
    )
    assert told.ok, told.text


@pytest.mark.parametrize(("success", "then"), [(True, "paid"), (False, "declined")])
def test_a_card_whose_bank_asks_waits_for_the_buyer_and_ends_as_the_buyer_says(
    base: str, sdk: Any, port: StripePayments, success: bool, then: str
) -> None:
    sale = f"sal_asks_{then}"
    intent = paid(sdk, sale, card=ASKS)
    assert state(port, intent, sale).state == "action_needed"
    answer(base, intent, success=success)
    assert state(port, intent, sale).state == then


def test_a_confirmation_left_alone_may_be_given_up(sdk: Any, port: StripePayments) -> None:
    intent = paid(sdk, "sal_left", card=ASKS)
    assert port.cancel(key="pay_sal_left", intent_id=intent.id).state == "cancelled"


def test_a_refund_is_made_once_and_found_again(sdk: Any, port: StripePayments) -> None:
    intent = paid(sdk, "sal_back")
    asked = {"key": "ref_1", "intent_id": intent.id, "amount": AMOUNT, "sale_id": "sal_back"}
    assert port.ask_refund(**asked).reason == "not_found"
    first = port.refund(**asked)
    assert first.state == "done"
    assert port.refund(**asked) == first == port.ask_refund(**asked)
    assert len(list(sdk.refunds.list({"payment_intent": intent.id}))) == 1


@pytest.fixture
def inbox(base: str) -> Iterator[list[tuple[bytes, str]]]:
    """What localstripe posts, and how it signed it."""
    heard: list[tuple[bytes, str]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((body, self.headers["Stripe-Signature"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    requests.post(
        f"{base}/_config/webhooks/ours",
        json={"url": f"http://127.0.0.1:{server.server_port}/hook", "secret": SECRET},
        timeout=5,
    ).raise_for_status()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


def _is_about(payload: bytes, intent: str) -> bool:
    event = json.loads(payload)
    return event["type"] == "payment_intent.succeeded" and event["data"]["object"]["id"] == intent


def test_its_webhooks_are_read_as_hints_and_no_other_secret_will_do(
    sdk: Any, port: StripePayments, inbox: list[tuple[bytes, str]], base: str
) -> None:
    intent = paid(sdk, "sal_hook")
    end = time.monotonic() + 10
    ours: list[tuple[bytes, str]] = []
    while not ours and time.monotonic() < end:
        time.sleep(0.05)
        ours = [one for one in inbox if _is_about(one[0], intent.id)]
    payload, signature = ours[0]
    hint = port.read_webhook(payload=payload, signature=signature, now=time.time())
    assert (hint.kind, hint.intent_id) == ("payment_intent.succeeded", intent.id)
    assert hint.sale_id == "sal_hook"
    stripe.Webhook.construct_event(payload, signature, SECRET)  # the SDK reads it the same
    other = StripePayments(api_key=KEY, api_base=base, webhook_secrets=("whsec_other",))
    with pytest.raises(NotSignedIn):
        other.read_webhook(payload=payload, signature=signature, now=time.time())


def test_it_listens_on_loopback_alone(base: str) -> None:
    port = int(base.rsplit(":", 1)[1])
    listening = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rsplit(":", 1)[1], 16) == port
    ]
    assert len(listening) == 1
    assert listening[0].startswith("0000000000000000FFFF00000100007F:")
