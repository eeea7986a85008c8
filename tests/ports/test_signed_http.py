"""The platform port against a real platform: outcomes, the unknown among them, and read-backs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key, move
from tests.demo.servers import SOURCE, free_port
from tests.ports.canned import Canned, http

from onym import ports
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.ports.account import HandedOver, address_digest
from onym.ports.platform import COLUMNS, Answer, Holding, Notice
from onym.ports.signed_http import SignedHttp


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture(scope="module")
def port(plaza):
    return plaza.port()


@pytest.fixture(autouse=True)
def _no_faults_left(plaza):
    yield
    requests.delete(plaza.program.base + "/demo/faults", timeout=10)


@pytest.fixture
def pair(plaza):
    """Two fresh accounts: ((id, handle), (id, handle))."""
    return plaza.sign_up(), plaza.sign_up()


def test_an_account_row_has_known_columns_and_aware_instants(port):
    row = port.account(account_id="1007")
    assert set(row) <= set(COLUMNS)
    assert (row["handle"], row["inbound_refs"], row["memorial"]) == ("handle", 8214, False)
    assert row["last_login_at"] == datetime(2019, 5, 2, 19, 30, tzinfo=UTC)
    assert "last_api_at" not in row


def test_an_unknown_account_is_none(port):
    for account_id in ("999999", "abc", "07", "-1", "../accounts", ""):
        assert port.account(account_id=account_id or " ") is None


def test_a_handle_has_a_holder_or_nobody(port):
    assert port.holder(handle="Handle") == Holding("Handle", "1007")
    assert port.holder(handle="nobody_at_all") == Holding("nobody_at_all", None)


def test_a_handle_that_the_platform_cannot_have_is_malformed(port):
    for name in ("with-dash", "sixteen_letters_", "سوق", "a b", "%2e%2e"):
        with pytest.raises(HandleMalformed):
            port.holder(handle=name)


def test_accounts_come_in_pages_until_there_is_no_cursor(port):
    rows, following = port.accounts()
    assert rows[0]["account_id"] == "1001"
    assert len(rows) >= 60
    assert following is None


def test_a_move_is_done_and_the_read_back_agrees(port, pair):
    (seller, handle), (buyer, _) = pair
    said = move(port, handle, seller, buyer, placeholder="was_that")
    assert said.answer is Answer.DONE
    assert said.facts["placeholder"] == "was_that"
    assert port.holder(handle=handle).account_id == buyer
    assert port.account(account_id=seller)["handle"] == "was_that"


@pytest.mark.parametrize(
    ("changes", "code", "wire"),
    [
        ({"expected_holder": "1002", "source": "1002"}, "stale", "wrong_holder"),
        ({"fence": 0}, "malformed", "malformed"),
        ({"to": "999999"}, "account_unknown", "account_unknown"),
        ({"placeholder": "not-a-handle"}, "handle_malformed", "handle_malformed"),
    ],
)
def test_a_move_is_refused_with_a_code_and_nothing_happens(port, pair, changes, code, wire):
    (seller, handle), (buyer, bought_with) = pair
    wish = {"source": seller, "to": buyer, **changes}
    said = move(port, handle, wish.pop("source"), wish.pop("to"), **wish)
    assert (said.answer, said.code, said.facts["code"]) == (Answer.REFUSED, code, wire)
    assert port.holder(handle=handle).account_id == seller
    assert port.account(account_id=buyer)["handle"] == bought_with


def test_a_used_fence_is_stale(port, pair):
    (seller, handle), (buyer, _) = pair
    assert move(port, handle, seller, buyer, fence=5000).done
    said = move(port, handle, buyer, seller, fence=5000)
    assert (said.refused, said.code, said.facts["code"]) == (True, "stale", "stale_fence")


@pytest.mark.parametrize("kind", ["cut_before", "error"])
def test_a_write_that_failed_unseen_is_unknown_and_may_be_asked_again(plaza, port, pair, kind):
    (seller, handle), (buyer, _) = pair
    plaza.arm(kind)
    key = fresh_key()
    assert move(port, handle, seller, buyer, key=key, fence=9000).unknown
    assert port.holder(handle=handle).account_id == seller
    assert move(port, handle, seller, buyer, key=key, fence=9000).done
    assert port.holder(handle=handle).account_id == buyer


@pytest.mark.parametrize("kind", ["cut_after", "error_after"])
def test_a_write_whose_answer_was_lost_is_unknown_until_asked(plaza, port, pair, kind):
    (seller, handle), (buyer, _) = pair
    plaza.arm(kind)
    key = fresh_key()
    assert move(port, handle, seller, buyer, key=key, fence=9000).unknown
    assert port.holder(handle=handle).account_id == buyer
    again = move(port, handle, seller, buyer, key=key, fence=9000)
    assert (again.answer, again.facts["account_id"]) == (Answer.DONE, buyer)


def test_an_answer_that_comes_too_late_is_unknown(plaza, pair):
    (seller, handle), (buyer, _) = pair
    plaza.arm("delay_after", seconds=1.5)
    hasty = plaza.port(timeout=0.4)
    assert move(hasty, handle, seller, buyer).unknown
    assert plaza.port().holder(handle=handle).account_id == buyer


def test_a_lie_is_found_out_by_the_read_back(plaza, port, pair):
    (seller, handle), (buyer, _) = pair
    plaza.arm("lie")
    assert move(port, handle, seller, buyer).done
    assert port.holder(handle=handle).account_id == seller


def test_stale_reads_show_the_old_holder_until_cleared(plaza, port, pair):
    (seller, handle), (buyer, _) = pair
    plaza.arm("stale_reads")
    assert move(port, handle, seller, buyer).done
    assert port.holder(handle=handle).account_id == seller
    assert port.account(account_id=buyer)["handle"] != handle
    requests.delete(plaza.program.base + "/demo/faults", timeout=10)
    assert port.holder(handle=handle).account_id == buyer


def test_nobody_listening_is_unknown_for_a_write_and_unavailable_for_a_read(pair):
    (seller, handle), (buyer, _) = pair
    nowhere = SignedHttp(
        base=f"http://127.0.0.1:{free_port()}",
        key_id="onym",
        private_key=Ed25519PrivateKey.generate(),
        timeout=1,
    )
    assert move(nowhere, handle, seller, buyer).unknown
    assert nowhere.reserve(handle="x", key="k").unknown
    told = nowhere.notify_all(notices=[Notice("1002", "k", "t", None, fresh_key())] * 3)
    assert [said.unknown for said in told] == [True] * 3
    for read in (nowhere.capabilities, nowhere.accounts):
        with pytest.raises(PlatformUnavailable):
            read()
    with pytest.raises(PlatformUnavailable):
        nowhere.holder(handle="x")
    with pytest.raises(PlatformUnavailable):
        nowhere.account(account_id="1")


@pytest.mark.parametrize("kind", ["cut_before", "error"])
def test_a_read_that_fails_is_unavailable(plaza, port, kind):
    plaza.arm(kind, on="reads")
    with pytest.raises(PlatformUnavailable):
        port.holder(handle="handle")
    assert port.holder(handle="handle").account_id == "1007"


def test_a_rejected_key_refuses_nothing_for_good(plaza, pair):
    (seller, handle), (buyer, _) = pair
    stranger = SignedHttp(
        base=plaza.program.base, key_id="onym", private_key=Ed25519PrivateKey.generate()
    )
    said = move(stranger, handle, seller, buyer)
    assert (said.answer, said.code) == (Answer.UNKNOWN, "signature_invalid")
    with pytest.raises(PlatformUnavailable):
        stranger.holder(handle=handle)
    assert plaza.port().holder(handle=handle).account_id == seller


def test_reserve_keeps_a_free_handle_and_unreserve_frees_it(port):
    assert port.reserve(handle="kept_one", key=fresh_key()).done
    assert port.holder(handle="kept_one").account_id == port.capabilities().custodian
    assert port.unreserve(handle="kept_one", key=fresh_key()).done
    assert port.holder(handle="kept_one").account_id is None
    assert port.unreserve(handle="kept_one", key=fresh_key()).code == "not_reserved"
    assert port.reserve(handle="handle", key=fresh_key()).code == "handle_held"


def test_a_whole_account_is_handed_over_once(plaza, port):
    said = port.hand_over(
        account_id="1012", email="new@mail.example", fence=3, key=fresh_key(), wipe=["messages"]
    )
    assert said.facts["wiped"] == {"messages": 2, "sessions": 2}
    private = plaza.program.get("/demo/accounts/1012").json()
    assert (private["email"], private["credentials"]) == ("new@mail.example", 2)
    assert (private["messages"], private["sessions"], private["contacts"]) == (0, 0, 1)
    assert port.account(account_id="1012")["email"] == "new@mail.example"
    late = port.hand_over(account_id="1012", email="late@mail.example", fence=3, key=fresh_key())
    assert (late.refused, late.code) == (True, "stale")


def test_a_whole_accounts_read_back_names_the_hand_over_and_the_address_in_force(plaza, port):
    account_id, handle = plaza.sign_up(email="old@mail.example")
    old = address_digest("old@mail.example")
    assert port.handed_over(account_id=account_id) == HandedOver(0, old)
    wish = {"account_id": account_id, "email": "new@mail.example", "handle": handle}
    other = port.hand_over(**wish | {"handle": "some_other"}, fence=4, key=fresh_key())
    assert (other.refused, other.facts["code"]) == (True, "wrong_handle")
    assert port.hand_over(**wish, fence=4, key=fresh_key(), last=0).done
    new = HandedOver(4, address_digest(" New@Mail.example "))
    assert port.handed_over(account_id=account_id) == new
    late = port.hand_over(account_id=account_id, email=None, fence=6, key=fresh_key(), last=0)
    assert (late.refused, late.facts["code"]) == (True, "handed_over")
    bar = port.hand_over(account_id=account_id, email=None, fence=6, key=fresh_key(), last=4)
    assert (bar.done, port.handed_over(account_id=account_id)) == (True, new)
    assert port.hand_over(**wish, fence=5, key=fresh_key()).facts["code"] == "stale_fence"
    unsigned = requests.get(f"{plaza.program.base}/accounts/{account_id}/hand-over", timeout=5)
    assert unsigned.status_code == 401


def test_a_notice_is_one_notice_however_often_it_is_sent(plaza, port):
    account_id, handle = plaza.sign_up()
    key = fresh_key()
    wish = {"account_id": account_id, "kind": "warned", "text": "Only once", "href": None}
    first, second = (port.notify(**wish, key=key) for _ in range(2))
    assert first == second
    assert plaza.program.get(f"/@{handle}").text.count("Only once") == 1
    other = port.notify(**{**wish, "text": "Twice"}, key=key)
    assert (other.refused, other.code) == (True, "idempotency_mismatch")


def test_many_notices_are_told_in_order_with_an_outcome_each(plaza, port):
    account_id, handle = plaza.sign_up()
    notices = [
        Notice("404404" if n % 100 == 7 else account_id, "warned", f"No. {n}", None, fresh_key())
        for n in range(1200)
    ]
    told = port.notify_all(notices=notices)
    assert [said.code for said in told[6:9]] == ["", "account_unknown", ""]
    assert sum(said.done for said in told) == 1188
    again = port.notify_all(notices=notices)
    assert again == told
    assert "No. 1199" in plaza.program.get(f"/@{handle}").text


def test_a_wave_whose_answer_was_lost_is_unknown_and_then_told_once(plaza, port):
    account_id, handle = plaza.sign_up()
    notices = [Notice(account_id, "warned", f"Wave {n};", None, fresh_key()) for n in range(5)]
    plaza.arm("cut_after", on="notices")
    assert {said.answer for said in port.notify_all(notices=notices)} == {Answer.UNKNOWN}
    assert all(said.done for said in port.notify_all(notices=notices))
    page = plaza.program.get(f"/@{handle}").text
    assert [page.count(f"Wave {n};") for n in range(5)] == [1] * 5


ROW = {"account_id": "1", "handle": "a", "created_at": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (http("200 OK", b'{"account_id": "2"}'), Answer.DONE),
        (http("200 OK", b'{"account_id": "2"}', 99), Answer.UNKNOWN),
        (http("200 OK", b"moved!"), Answer.UNKNOWN),
        (http("200 OK", b"[]"), Answer.UNKNOWN),
        (http("202 Accepted", b'{"state": "later"}'), Answer.UNKNOWN),
        (http("307 Temporary Redirect", b"{}"), Answer.UNKNOWN),
        (http("409 Conflict", b'{"code": "in_progress"}'), Answer.UNKNOWN),
        (http("409 Conflict", b'{"code": "idempotency_mismatch"}'), Answer.REFUSED),
        (http("412 Precondition Failed", b'{"code": "stale_fence"}'), Answer.REFUSED),
        (http("404 Not Found", b'{"code": "account_unknown"}'), Answer.REFUSED),
        (http("412 Precondition Failed", b"{}"), Answer.UNKNOWN),
        (http("422 Unprocessable", b'"no"'), Answer.UNKNOWN),
        (http("404 Not Found", b'{"error": "no route"}'), Answer.UNKNOWN),
        (http("400 Bad Request", b'{"code": 400}'), Answer.UNKNOWN),
        (http("429 Too Many Requests", b"{}"), Answer.UNKNOWN),
        (http("403 Forbidden", b"{}"), Answer.UNKNOWN),
        (http("503 Unavailable", b"{}"), Answer.UNKNOWN),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Answer.UNKNOWN),
        (b"", Answer.UNKNOWN),
    ],
)
def test_only_a_clear_answer_decides_a_write(raw, answer):
    canned = Canned(raw)
    port = SignedHttp(base=canned.base, key_id="k", private_key=Ed25519PrivateKey.generate())
    assert move(port, "a", "1", "2").answer is answer
    canned.close()


@pytest.mark.parametrize(
    "raw",
    [
        http("200 OK", json.dumps(ROW).encode(), 999),
        http("200 OK", b"<html>"),
        http("200 OK", b"[]"),
        http("200 OK", b'{"handle": "a"}'),
        http("200 OK", json.dumps(ROW | {"created_at": "yesterday"}).encode()),
        http("200 OK", json.dumps(ROW | {"created_at": "2020-01-01T00:00:00"}).encode()),
        http("200 OK", json.dumps(ROW | {"created_at": 7}).encode()),
        http("401 Unauthorized", b"{}"),
        http("404 Not Found", b'{"error": "no route"}'),
        http("422 Unprocessable", b"{}"),
        http("500 Oops", b"{}"),
        b"",
    ],
)
def test_no_account_is_made_of_a_broken_answer(raw):
    canned = Canned(raw)
    port = SignedHttp(base=canned.base, key_id="k", private_key=Ed25519PrivateKey.generate())
    with pytest.raises(PlatformUnavailable):
        port.account(account_id="1")
    canned.close()


@pytest.mark.parametrize(
    "raw",
    [
        http("200 OK", b'{"handle": "a"}'),
        http("404 Not Found", b'{"error": "no route"}'),
        http("404 Not Found", b'{"code": "handle_unknown"}'),
        http("422 Unprocessable", b'{"error": "no"}'),
    ],
)
def test_an_answer_without_a_holder_is_no_read_back(raw):
    canned = Canned(raw)
    port = SignedHttp(base=canned.base, key_id="k", private_key=Ed25519PrivateKey.generate())
    with pytest.raises(PlatformUnavailable):
        port.holder(handle="a")
    canned.close()


def test_an_endless_answer_is_given_up():
    canned = Canned(http("200 OK", b"", 10**9), *[b" " * 2**20] * 40)
    port = SignedHttp(base=canned.base, key_id="k", private_key=Ed25519PrivateKey.generate())
    with pytest.raises(PlatformUnavailable):
        port.account(account_id="1")
    canned.close()


@pytest.fixture
def slots():
    kept = {name: list(slot) for name, slot in vars(ports).items() if isinstance(slot, list)}
    kept |= {name: dict(slot) for name, slot in vars(ports).items() if isinstance(slot, dict)}
    ports.clear()
    yield ports
    ports.clear()
    ports._payments.update(kept["_payments"])
    ports._platforms.update(kept["_platforms"])
    ports._mail.extend(kept["_mail"])


def test_an_empty_slot_is_a_fault_that_names_itself(slots):
    for ask, told in (
        (lambda: slots.platform("demo"), "no platform is installed for namespace 'demo'"),
        (lambda: slots.payments("demo"), "no payment provider is installed"),
        (slots.mail, "no mail is installed"),
    ):
        with pytest.raises(ports.SlotEmpty, match=told):
            ask()


def test_a_filled_slot_gives_what_was_put_in_by_namespace(slots, port):
    slots.install(platforms={"demo": port})
    slots.install(platforms={"other": plazas})
    assert slots.platform("demo") is port
    assert slots.platform("other") is plazas  # any object: the type is the checker's business
    with pytest.raises(ports.SlotEmpty):
        slots.platform("third")


def test_a_slot_is_not_shadowed_by_the_module_of_the_same_name():
    code = "import onym.ports.platform, onym.ports; print(callable(onym.ports.platform))"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert told.stdout == "True\n", told.stderr
