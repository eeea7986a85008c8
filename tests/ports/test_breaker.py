"""Breakers around real outsides: open after five faults, fast while open, one probe, quiet."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key, move
from tests.demo.servers import free_port
from tests.ports.canned import Canned

from onym.core.breaker import FAULTS, State
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.core.money import Money
from onym.ports import breaker
from onym.ports.answers import Answers
from onym.ports.breaker import Gate, Guarded, shut_mail, shut_payments, shut_platform
from onym.ports.hooks import SignedHooks
from onym.ports.mail import DjangoMail, Message
from onym.ports.platform import Notice
from onym.ports.scim_wire import Client
from onym.ports.signed_http import SignedHttp
from onym.ports.stripe import StripePayments
from onym.ports.xrpc import Xrpc

NOBODY = b'{"account_id": null}'


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def gate(clock, told):
    return Gate("platform", tell=lambda *change: told.append(change), clock=clock)


@pytest.fixture
def port(plaza, gate):
    requests.delete(plaza.program.base + "/demo/faults", timeout=10)
    return Guarded(plaza.port(), gate=gate, shut=shut_platform)


def armed(plaza):
    found = plaza.program.get("/demo/faults").json()
    return sum(fault["times"] for fault in found)


def fail(port, times):
    for _ in range(times):
        with pytest.raises(PlatformUnavailable):
            port.holder(handle="handle")


def test_after_five_faults_reads_are_refused_at_once_and_writes_are_unknown_unasked(
    plaza, port, gate, told
):
    plaza.arm("error", on="*", times=50)
    fail(port, FAULTS)
    began = time.perf_counter()
    fail(port, 20)
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    said = move(port, handle, seller, buyer)
    assert time.perf_counter() - began < 0.5
    assert (said.unknown, said.code) == (True, "not_asked")
    waves = port.notify_all(notices=[Notice("1002", "k", "t", None, fresh_key())] * 3)
    assert [one.code for one in waves] == ["not_asked"] * 3
    assert armed(plaza) == 50 - FAULTS
    assert told == [("platform", State.OPEN, 2.0)]
    assert gate.state() is State.OPEN


def test_a_probe_that_is_answered_closes_it(plaza, port, gate, clock, told):
    plaza.arm("error", on="*", times=FAULTS)
    fail(port, FAULTS)
    clock.now = 2.0
    assert gate.state() is State.HALF_OPEN
    assert port.holder(handle="handle").account_id == "1007"
    assert port.holder(handle="handle").account_id == "1007"
    assert [state for _, state, _ in told] == [State.OPEN, State.CLOSED]


def test_of_many_that_come_while_it_is_half_open_one_asks(plaza, port, gate, clock):
    plaza.arm("error", on="*", times=FAULTS)
    fail(port, FAULTS)
    clock.now = 2.0
    plaza.arm("delay", on="handle", seconds=0.5)
    line = threading.Barrier(4)

    def come(_):
        line.wait()
        try:
            return port.holder(handle="handle").account_id
        except PlatformUnavailable:
            return None

    with ThreadPoolExecutor(4) as threads:
        found = sorted(threads.map(come, range(4)), key=str)
    assert found == ["1007", None, None, None]
    assert gate.state() is State.CLOSED


def test_a_refusal_is_an_answer(plaza, port, gate):
    for _ in range(FAULTS + 1):
        with pytest.raises(HandleMalformed):
            port.holder(handle="with-dash")
        assert port.reserve(handle="handle", key=fresh_key()).code == "handle_held"
    assert gate.state() is State.CLOSED


@pytest.mark.parametrize("on", ["reads", "writes"])
def test_quiet_that_the_platform_asks_for_is_kept_to_the_second(plaza, port, gate, clock, on):
    plaza.arm("busy", on=on, seconds=30)
    if on == "reads":
        fail(port, 1)
    else:
        said = port.reserve(handle="busy_one", key=fresh_key())
        assert (said.unknown, said.retry_after) == (True, 30.0)
    for at in (0.0, 29.9):
        clock.now = at
        fail(port, 1)
    clock.now = 30.0
    assert port.holder(handle="handle").account_id == "1007"


def signed(base, timeout=0.5):
    return SignedHttp(
        base=base, key_id="k", private_key=Ed25519PrivateKey.generate(), timeout=timeout
    )


def test_retry_after_may_be_an_instant_and_nonsense_is_none():
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    for text, least, most in ((later, 50, 61), ("soon", None, None), ("-5", None, None)):
        head = f"HTTP/1.1 503 Busy\r\nRetry-After: {text}\r\nContent-Length: 2\r\n\r\n{{}}"
        canned = Canned(head.encode())
        found = signed(canned.base).reserve(handle="a", key="k").retry_after
        canned.close()
        assert found is None if least is None else least < found < most


class Dripping(Canned):
    """Answers byte by byte, without an end."""

    def _serve(self):
        line, _ = self._listener.accept()
        with line, contextlib.suppress(OSError):
            line.recv(65536)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                line.sendall(b" ")
                time.sleep(0.05)


def hook(base):
    calls = SignedHooks(key_id="k", private_key=Ed25519PrivateKey.generate(), timeout=0.3)
    return calls.call(url=base, wish={}, key="one").code


def pds(base):
    return Xrpc(base=base, password="p", timeout=0.3).order("a", {}).error


def read(ask):
    """The code of what a read refuses."""
    with pytest.raises(PlatformUnavailable) as told:
        ask()
    return told.value.code


OUTSIDES = {
    "signed HTTP": lambda base: read(lambda: signed(base).account(account_id="1")),
    "SCIM": lambda base: read(lambda: Client(base=base, token="", timeout=0.3).read("/Users")),
    "sign-in": lambda base: read(lambda: Answers(0.3).get(base)),
    "hook": hook,
    "PDS": pds,
}


@pytest.mark.parametrize("outside", OUTSIDES)
def test_an_answer_that_drips_is_given_up_within_twice_the_time_out(outside):
    canned = Dripping()
    began = time.perf_counter()
    assert OUTSIDES[outside](canned.base) in ("platform_unavailable", "no_answer", "NoAnswer")
    assert time.perf_counter() - began < 1.0
    canned.close()


def test_no_more_than_eight_requests_are_under_way_at_a_time():
    class Counting(Canned):
        busy, most = 0, 0

        def _serve(self):
            while True:
                try:
                    line, _ = self._listener.accept()
                except OSError:
                    return
                threading.Thread(target=self._one, args=(line,), daemon=True).start()

        def _one(self, line):
            with line:
                line.recv(65536)
                type(self).busy += 1
                type(self).most = max(type(self).most, type(self).busy)
                time.sleep(0.05)
                type(self).busy -= 1
                line.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + NOBODY)

    canned = Counting()
    port = signed(canned.base, timeout=5.0)
    with ThreadPoolExecutor(30) as threads:
        list(threads.map(lambda _: port.holder(handle="a"), range(30)))
    canned.close()
    assert Counting.most == 8


def test_a_dead_payment_provider_is_left_alone_and_its_charges_stay_unknown(clock):
    dead = StripePayments(
        api_key="sk_test_x",
        api_base=f"http://127.0.0.1:{free_port()}",
        webhook_secrets=("whsec_x",),
        timeout=1.0,
    )
    gate = Gate("payments", clock=clock)
    port = Guarded(dead, gate=gate, shut=shut_payments, at_home=("read_webhook",))
    wish = {"key": "k", "amount": Money(100, "USD"), "sale_id": "sal_x"}
    said = [port.ask(**wish) for _ in range(FAULTS + 2)]
    assert {one.state for one in said} == {"unknown"}
    assert [one.reason for one in said[FAULTS:]] == ["not_asked"] * 2
    assert port.refund(intent_id="pi_x", **wish).reason == "not_asked"
    with pytest.raises(PlatformUnavailable):
        port.account("acct_x")
    assert port.name == dead.name


@pytest.mark.parametrize("answer", [None, "no_answer", "provider_failed"])
def test_silence_in_a_list_or_in_words_is_a_fault(answer):
    name = "lines" if answer is None else "refused_key"
    assert breaker.hear(answer, name=name).fault
    assert not breaker.hear((), name="lines").fault
    assert not breaker.hear("", name="refused_key").fault
    assert not breaker.hear("wrong_key", name="refused_key").fault
    assert not breaker.hear(None, name="account").fault


def test_a_dead_post_office_is_left_alone_and_letters_stay_unknown(clock):
    dead = DjangoMail(
        backend="django.core.mail.backends.smtp.EmailBackend",
        host="127.0.0.1",
        port=free_port(),
        timeout=1,
    )
    port = Guarded(dead, gate=Gate("mail", clock=clock), shut=shut_mail)
    letter = Message(to="a@b.example", sender="c@d.example", subject="s", text="t", key="k")
    said = [port.send(letter) for _ in range(FAULTS + 1)]
    assert {one.state for one in said} == {"unknown"}
    assert [one.reason == "not_asked" for one in said] == [False] * FAULTS + [True]
