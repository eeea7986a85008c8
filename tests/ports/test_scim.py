"""The SCIM port on `scim2-server`, a process of its own; fences and answers in PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
from tests import make
from tests.demo.servers import free_port
from tests.ports.canned import Canned, http

from onym.core import names, policies, policy
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.core.policies import BUILT_IN
from onym.ports import scim_moves, scim_wire
from onym.ports.platform import Answer, Notice
from onym.ports.scim import Scim
from onym.store.platform import Writes

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
HEADERS = {"Authorization": "Bearer tok", "Content-Type": "application/scim+json"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def provider():
    """The address that /Users is under."""
    port = free_port()
    program = Path(sys.executable).with_name("scim2-server")
    command = [str(program), "--port", str(port), "--bearer-token", "tok"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base, end = f"http://127.0.0.1:{port}/v2", time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, "scim2-server ended at its start"
        try:
            requests.get(f"{base}/ServiceProviderConfig", timeout=2)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield base
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def journal(database):
    return Writes(namespace=make.namespace().id)


@pytest.fixture
def port(provider, journal):
    return Scim(base=provider, token="tok", journal=journal, timeout=5.0, quiet=0.0)


def sign_up(provider, name=None, **more):
    """A new account: (id, handle)."""
    name = name or f"s_{next(_numbers)}"
    body = {"schemas": [USER], "userName": name, "active": True} | more
    made = requests.post(f"{provider}/Users", json=body, headers=HEADERS, timeout=10)
    assert made.status_code == 201, made.text
    return made.json()["id"], name


def move(port, handle, source, to, **changes):
    wish = {
        "placeholder": None,
        "expected_holder": source,
        "fence": next(_numbers),
        "key": f"key-{next(_numbers)}",
    }
    return port.move(handle=handle, source=source, to=to, **wish | changes)


def holders(port, *handles):
    return [port.holder(handle=name).account_id for name in handles]


def test_an_account_has_what_scim_knows_and_no_sign_of_life(provider, port):
    mail = [{"value": "b@x.example"}, {"value": "a@x.example", "primary": True}]
    one, handle = sign_up(provider, emails=mail, locale="fr")
    row = port.account(account_id=one)
    assert (row["handle"], row["status"], row["email"]) == (handle, "active", "a@x.example")
    assert (row["locale"], row["created_at"].tzinfo is not None) == ("fr", True)
    assert not {name for name in row if name.startswith("last_")}
    assert port.account(account_id="none") is None
    gone, _ = sign_up(provider, active=False)
    assert port.account(account_id=gone)["status"] == "suspended"


@pytest.mark.parametrize("name", BUILT_IN)
def test_under_no_policy_of_ours_is_anybody_idle_by_what_scim_knows(provider, port, name):
    row = port.account(account_id=sign_up(provider)[0])
    lists = {"protected_list": False, "reserved_list": False}
    later = datetime.now(UTC) + timedelta(days=9_000)
    found = policy.verdict(policies.built_in(name), dict(row) | lists, later)
    assert found.verdict.value in ("keep", "protected")


def test_a_handle_is_found_whatever_its_case_and_nobody_holds_a_free_one(provider, port):
    one, handle = sign_up(provider)
    assert holders(port, handle.upper(), "nobody_yet") == [one, None]
    with pytest.raises(HandleMalformed):
        port.holder(handle='a" or userName pr')


def test_lists_go_on_page_by_page_and_tell_what_was_modified_since(provider, port):
    made = {sign_up(provider)[0] for _ in range(3)}
    rows, cursor = port.accounts()
    while cursor is not None:
        more, cursor = port.accounts(cursor=cursor)
        rows = [*rows, *more]
    assert made <= {row["account_id"] for row in rows}
    assert len({row["account_id"] for row in rows}) == len(rows)
    assert port.capabilities().since
    later = port.page().as_of + timedelta(seconds=1)
    time.sleep(2.1)  # the provider's Date has whole seconds
    fresh, _ = sign_up(provider)
    assert [row["account_id"] for row in port.page(since=later).rows] == [fresh]


def test_it_says_what_scim_has_no_word_for(port):
    told = port.capabilities()
    assert (told.reserve, told.retain, told.hand_over, told.notices) == (False,) * 4
    assert (told.atomic_move, told.custodian) == (False, None)
    refused = [
        port.reserve(handle="a", key="1"),
        port.unreserve(handle="a", key="2"),
        port.hand_over(account_id="1", email="e", fence=1, key="3"),
        port.notify(account_id="1", kind="k", text="t", href=None, key="4"),
        *port.notify_all(notices=[Notice("1", "k", "t", None, "5")]),
    ]
    assert {said.code for said in refused} == {"not_supported"}


def test_a_move_renames_the_holder_and_assigns(provider, port):
    (seller, handle), (buyer, old) = sign_up(provider), sign_up(provider)
    said = move(port, handle, seller, buyer, placeholder="was_that")
    assert (said.answer, said.facts["placeholder"]) == (Answer.DONE, "was_that")
    assert holders(port, handle, "was_that", old) == [buyer, seller, None]


def test_a_taken_placeholder_gives_way(provider, port):
    (seller, handle), (buyer, _), (_, taken) = (sign_up(provider) for _ in range(3))
    given = move(port, handle, seller, buyer, placeholder=taken).facts["placeholder"]
    assert given != taken
    assert holders(port, given) == [seller]


def test_where_no_placeholder_is_free_the_holder_keeps_the_handle(provider, port):
    (seller, handle), (buyer, old) = sign_up(provider), sign_up(provider)
    for attempt in range(scim_moves.TRIES):
        sign_up(provider, names.placeholder("x", seller, attempt=attempt))
    said = move(port, handle, seller, buyer)
    assert (said.answer, said.code) == (Answer.REFUSED, "placeholder_taken")
    assert holders(port, handle, old) == [seller, buyer]


def test_a_rename_is_refused_with_its_reason_or_left_open(provider):
    client = scim_wire.Client(base=provider, token="tok", timeout=5.0)
    one, two = (client.person(sign_up(provider)[0]) for _ in range(2))
    assert client.rename(one, two.name).why == scim_wire.TAKEN
    assert client.rename(one, f"fresh_{next(_numbers)}").done
    assert client.rename(one, f"fresh_{next(_numbers)}").why == scim_wire.CHANGED
    assert client.rename(replace(one, id="none"), "fresh_x").why == scim_wire.GONE
    stranger = scim_wire.Client(base=provider, token="no", timeout=5.0)
    assert not stranger.rename(one, "fresh_y").sure


REFUSED = [
    ({"expected_holder": "{buyer}", "source": "{buyer}"}, "stale"),
    ({"expected_holder": None}, "stale"),
    ({"to": "none"}, "account_unknown"),
    ({"to": "{gone}"}, "account_unavailable"),
    ({"placeholder": "no handle"}, "handle_malformed"),
    ({"fence": 0}, "malformed"),
    ({"source": "{buyer}"}, "malformed"),
]


def test_a_move_is_refused_with_a_code_and_nothing_happens(provider, port):
    for changes, code in REFUSED:
        (seller, handle), (buyer, old) = sign_up(provider), sign_up(provider)
        known = {"{buyer}": buyer, "{gone}": sign_up(provider, active=False)[0]}
        wish = {"source": seller, "to": buyer, "expected_holder": seller}
        wish |= {name: known.get(value, value) for name, value in changes.items()}
        said = move(port, handle, wish.pop("source"), wish.pop("to"), **wish)
        assert (said.answer, said.code) == (Answer.REFUSED, code), changes
        assert holders(port, handle, old) == [seller, buyer], changes


def test_fences_and_answers_are_kept(provider, port):
    (one, handle), (two, _) = sign_up(provider), sign_up(provider)
    assert move(port, handle, one, one, fence=1000).done
    assert move(port, handle, one, two, fence=999).code == "stale"
    first = move(port, handle, one, two, fence=1001, key="k")
    assert move(port, handle, two, one, fence=1002).done
    assert move(port, handle, one, two, fence=1001, key="k") == first
    assert move(port, handle, one, two, fence=1003, key="k").code == "idempotency_mismatch"
    assert holders(port, handle) == [one]


class Line:
    """A line to the provider. `on_patch` is told the number of each PATCH before it is handed on,
    and says what becomes of it: pass, cut_before, cut_after."""

    def __init__(self, target: str, on_patch) -> None:
        self._host, self._port = re.match(r"http://([\d.]+):(\d+)", target).groups()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v2"
        self._on_patch, self._patches = on_patch, itertools.count(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(near,), daemon=True).start()

    def _one(self, near: socket.socket) -> None:
        with near:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += near.recv(65536)
            head, _, body = asked.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length.group(1)):
                body += near.recv(65536)
            fate = self._on_patch(next(self._patches)) if head.startswith(b"PATCH") else "pass"
            if fate == "cut_before":
                return
            with socket.create_connection((self._host, int(self._port))) as far:
                far.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
                answer = b"".join(iter(lambda: far.recv(65536), b""))
            if fate != "cut_after":
                near.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def through(provider, journal, on_patch):
    line = Line(provider, on_patch)
    return line, Scim(base=line.base, token="tok", journal=journal, timeout=5.0, quiet=0.0)


@pytest.mark.parametrize("fate", ["cut_before", "cut_after"])
@pytest.mark.parametrize("which", [1, 2])
def test_a_rename_without_an_answer_is_unknown_and_asking_again_ends_it(
    provider, journal, port, fate, which
):
    (seller, handle), (buyer, _) = sign_up(provider), sign_up(provider)
    line, cut = through(provider, journal, lambda n: fate if n == which else "pass")
    wish = {"key": f"lost-{fate}-{which}", "fence": next(_numbers), "placeholder": None}
    first = move(cut, handle, seller, buyer, **wish)
    assert (first.answer, first.code) == (Answer.UNKNOWN, "no_answer")
    again = move(cut, handle, seller, buyer, **wish)
    line.close()
    assert again.answer is Answer.DONE
    assert holders(port, handle, again.facts["placeholder"]) == [buyer, seller]


def test_a_stranger_who_comes_between_is_renamed_and_the_holder_gets_the_handle_back(
    provider, journal, port
):
    (seller, handle), (buyer, old) = sign_up(provider), sign_up(provider)
    strangers = []

    def between(number):
        if number == 2:
            strangers.append(sign_up(provider, handle)[0])
        return "pass"

    line, raced = through(provider, journal, between)
    said = move(raced, handle, seller, buyer)
    line.close()
    assert (said.answer, said.code) == (Answer.REFUSED, "taken_between")
    assert holders(port, handle, old) == [seller, buyer]
    assert port.account(account_id=strangers[0])["handle"] != handle


def test_an_account_that_is_changed_while_it_is_renamed_is_read_anew(provider, journal, port):
    """Compare and set: the version is another one, so the provider refuses with 412."""
    (seller, handle), (buyer, _) = sign_up(provider), sign_up(provider)

    def meanwhile(number):
        if number == 1:
            operation = {"op": "replace", "path": "locale", "value": "ar"}
            body = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [operation],
            }
            url = f"{provider}/Users/{seller}"
            assert requests.patch(url, json=body, headers=HEADERS, timeout=10).ok
        return "pass"

    line, raced = through(provider, journal, meanwhile)
    assert move(raced, handle, seller, buyer).done
    line.close()
    assert holders(port, handle) == [buyer]
    assert port.account(account_id=seller)["locale"] == "ar"


def test_a_taker_who_is_suspended_between_the_steps_makes_the_move_undone(provider, journal, port):
    (seller, handle), (buyer, old) = sign_up(provider), sign_up(provider)

    def suspend(number):
        if number == 1:
            operation = {"op": "replace", "path": "active", "value": False}
            body = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [operation],
            }
            url = f"{provider}/Users/{buyer}"
            assert requests.patch(url, json=body, headers=HEADERS, timeout=10).ok
        return "pass"

    line, raced = through(provider, journal, suspend)
    said = move(raced, handle, seller, buyer)
    line.close()
    assert (said.answer, said.code) == (Answer.REFUSED, "account_unavailable")
    assert holders(port, handle, old) == [seller, buyer]


def test_of_two_orders_at_once_one_is_done_and_the_other_is_not(provider, journal):
    from django.db import connections

    (seller, handle), *buyers = (sign_up(provider) for _ in range(3))

    def race(n):
        port = Scim(base=provider, token="tok", journal=journal, timeout=5.0, quiet=0.0)
        try:
            return move(port, handle, seller, buyers[n][0], fence=5000, key=f"race-{n}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(race, range(2)))
    assert sorted((one.answer, one.code) for one in said)[0] == (Answer.DONE, "")
    assert sorted(one.code for one in said)[1] == "stale"


def test_a_provider_that_is_away_is_unavailable_and_a_write_stays_open(journal):
    away = Scim(base=f"http://127.0.0.1:{free_port()}", token="t", journal=journal, timeout=1.0)
    for read in (away.capabilities, away.accounts):
        with pytest.raises(PlatformUnavailable):
            read()
    said = move(away, "gold", "1", "2")
    assert (said.answer, said.code) == (Answer.UNKNOWN, "no_answer")


@pytest.mark.parametrize(
    "raw",
    [
        http("200 OK", b'{"Resources": [{"id": 7, "userName": "a"}]}'),
        http("200 OK", b'{"Resources": {}}'),
        http(
            "200 OK", b'{"Resources": [{"id": "1", "userName": "a"}, {"id": "2", "userName": "A"}]}'
        ),
        http("200 OK", b"<html>"),
        http("401 Unauthorized", b"{}"),
        http("503 Busy", b""),
        b"",
    ],
)
def test_no_holder_is_made_of_a_broken_answer(journal, raw):
    canned = Canned(raw)
    broken = Scim(base=canned.base, token="t", journal=journal, timeout=1.0)
    with pytest.raises(PlatformUnavailable):
        broken.holder(handle="a")
    canned.close()


GATEWAY = http("404 Not Found", b'{"message": "no such route"}')
NONE_SUCH = http("404 Not Found", json.dumps({"schemas": [ERROR]}).encode())


def test_a_gateways_404_is_no_word_about_an_account():
    person = scim_wire.Person("1", "alma", True, None, None, None, None)
    for raw, is_known in ((GATEWAY, False), (NONE_SUCH, True)):
        canned = Canned(raw)
        one, two = (scim_wire.Client(base=canned.base, token="t", timeout=5.0) for _ in range(2))
        assert one.rename(person, "berta").sure is is_known
        with contextlib.nullcontext() if is_known else pytest.raises(PlatformUnavailable):
            assert two.person("1") is None
        canned.close()


def test_a_provider_that_asks_for_quiet_until_an_instant_is_heard():
    busy = http("429 Busy", b"{}").replace(b"\r\n", b"\r\nRetry-After: 0\r\n", 1)
    later = formatdate(time.time() + 60, usegmt=True).encode()
    for told, least in ((b"7", 7), (later, 50)):
        canned = Canned(busy.replace(b"Retry-After: 0", b"Retry-After: " + told))
        with pytest.raises(PlatformUnavailable) as refused:
            scim_wire.Client(base=canned.base, token="t", timeout=1.0).read("/Users")
        assert least <= refused.value.facts["retry_after"] <= 60
        canned.close()
