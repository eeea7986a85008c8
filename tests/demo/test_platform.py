"""The demo's platform as its own process: signatures, moves, fences, one answer a key, lists."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver
from http_message_signatures.algorithms import ED25519
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key, move

CUSTODIAN = "1000"


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture(scope="module")
def port(plaza):
    return plaza.port()


def signed(plaza, path, body, *, key=None, drop=(), **how):
    """Headers of a POST, signed as the contract says but for what `how` and `drop` change."""
    covered = ("@method", "@target-uri", "idempotency-key", "content-digest")
    message = SimpleNamespace(
        method=how.pop("method", "POST"),
        url=how.pop("url", plaza.program.base + path),
        headers={"Idempotency-Key": fresh_key()},
    )
    signer = HTTPMessageSigner(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={}, private_keys={"onym": key or plaza.key, "other": plaza.key}
        ),
    )
    components = tuple(name for name in covered if name not in drop)
    digest = "content-digest" not in drop
    signer.sign(
        message,
        key_id=how.pop("key_id", "onym"),
        covered_component_ids=components[: None if "content-digest" in drop else -1],
        body=body if digest else None,
        **how,
    )
    return message.headers


def ago(seconds):
    return datetime.now(UTC) - timedelta(seconds=seconds)


BODY = b'{"kind": "warned", "text": "hello", "href": null}'
NOTICES = "/accounts/1002/notices"


def test_a_well_signed_write_is_done(plaza):
    headers = signed(plaza, NOTICES, BODY)
    answer = requests.post(plaza.program.base + NOTICES, BODY, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["account_id"]) == (201, "1002")


@pytest.mark.parametrize(
    "fault",
    ["strange key", "other key id", "other method", "other host", "old", "early", "expired"],
)
def test_a_write_that_is_not_signed_as_agreed_is_401(plaza, fault):
    how = {
        "strange key": {"key": Ed25519PrivateKey.generate()},
        "other key id": {"key_id": "other"},
        "other method": {"method": "PUT"},
        "other host": {"url": "http://127.0.0.1:1/accounts/1002/notices"},
        "old": {"created": ago(400)},
        "early": {"created": ago(-60)},
        "expired": {"expires": ago(30)},
    }[fault]
    refused(plaza, signed(plaza, NOTICES, BODY, **how))


@pytest.mark.parametrize(
    "component", ["@method", "@target-uri", "idempotency-key", "content-digest"]
)
def test_a_signature_that_leaves_out_what_decides_the_write_is_401(plaza, component):
    refused(plaza, signed(plaza, NOTICES, BODY, drop=(component,)))


def refused(plaza, headers):
    answer = requests.post(plaza.program.base + NOTICES, BODY, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_write_without_a_signature_is_401(plaza):
    answer = requests.post(
        plaza.program.base + NOTICES, BODY, headers={"Idempotency-Key": "k"}, timeout=10
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_missing")


@pytest.mark.parametrize("change", ["body", "path", "key", "signature"])
def test_a_signature_holds_for_nothing_else(plaza, change):
    path, body, headers = NOTICES, BODY, signed(plaza, NOTICES, BODY)
    if change == "body":
        body = BODY.replace(b"hello", b"hullo")
    if change == "path":
        path = "/accounts/1003/notices"
    if change == "key":
        headers["Idempotency-Key"] = "another"
    if change == "signature":
        headers["Signature"] = "onym=:AAAA:"
    answer = requests.post(plaza.program.base + path, body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")


def test_a_read_may_be_unsigned_on_loopback_but_not_badly_signed(plaza):
    path = "/handles/handle"
    assert plaza.program.get(path).json()["account_id"] == "1007"
    headers = signed(plaza, path, None, method="POST", drop=("content-digest",))
    answer = requests.get(plaza.program.base + path, headers=headers, timeout=10)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", "malformed"), (b"[]", "malformed"), (b'{"a": 1}', "malformed")]
)
def test_a_body_that_is_no_wish_is_refused(plaza, body, code):
    headers = signed(plaza, "/handles/handle/move", body)
    answer = requests.post(
        plaza.program.base + "/handles/handle/move", body, headers=headers, timeout=10
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == code


def test_a_body_of_more_than_a_megabyte_is_refused(plaza):
    body = b'{"text": "' + b"x" * 2**20 + b'"}'
    headers = signed(plaza, NOTICES, body)
    answer = requests.post(plaza.program.base + NOTICES, body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_move_renames_the_old_holder_and_frees_the_buyers_old_handle(plaza, port):
    (seller, handle), (buyer, old) = plaza.sign_up(), plaza.sign_up()
    said = move(port, handle, seller, buyer)
    assert said.facts["placeholder"] == f"user_{seller}"
    holders = [port.holder(handle=name).account_id for name in (handle, f"user_{seller}", old)]
    assert holders == [buyer, seller, None]
    rows = [port.account(account_id=number)["handle"] for number in (seller, buyer)]
    assert rows == [f"user_{seller}", handle]


def test_a_retained_handle_is_kept_by_the_custodian_and_leads_to_its_mover(plaza, port):
    (seller, handle), (buyer, old) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, seller, buyer, retain=True).done
    assert port.holder(handle=old).account_id == CUSTODIAN
    answer = requests.get(f"{plaza.program.base}/@{old}", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/@{handle}")
    assert port.unreserve(handle=old, key=fresh_key()).done
    assert plaza.program.get(f"/@{old}").status_code == 404


def test_a_freed_handle_that_is_reserved_later_leads_to_its_mover_too(plaza, port):
    (seller, handle), (buyer, old) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, seller, buyer).done
    assert port.reserve(handle=old, key=fresh_key()).done
    assert plaza.program.get(f"/@{old}").url.endswith(f"/@{handle}")


def test_a_taken_placeholder_gives_way_to_the_next_free_one(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    plaza.sign_up(handle="fifteen_letters")
    plaza.sign_up(handle="fifteen_lette_2")
    said = move(port, handle, seller, buyer, placeholder="fifteen_letters")
    assert said.facts["placeholder"] == "fifteen_lette_3"


def test_a_handle_may_be_detached_to_the_custodian_and_sold_from_there(plaza, port):
    (idle, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, idle, CUSTODIAN, placeholder="quiet_one").done
    assert port.account(account_id=idle)["handle"] == "quiet_one"
    assert "Plaza keeps it" in plaza.program.get(f"/@{handle}").text
    said = move(port, handle, idle, buyer, expected_holder=CUSTODIAN)
    assert (said.done, said.facts["placeholder"]) == (True, None)
    assert port.account(account_id=idle)["handle"] == "quiet_one"
    assert port.account(account_id=CUSTODIAN)["handle"] == "plaza_custody"


def test_a_handle_that_nobody_holds_may_be_given_out(plaza, port):
    account_id, old = plaza.sign_up()
    assert move(port, "brand_new", None, account_id).done
    assert port.holder(handle="brand_new").account_id == account_id
    assert port.holder(handle=old).account_id is None


def test_only_a_higher_fence_moves_a_handle(plaza, port):
    (one, handle), (two, _) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, one, two, fence=100).done
    for fence in (99, 100):
        assert move(port, handle, two, one, fence=fence).facts["code"] == "stale_fence"
    assert move(port, handle, two, one, fence=101).done


def test_a_fence_outlives_the_handles_holder(plaza, port):
    (one, handle), (two, _) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, one, two, fence=50).done
    assert move(port, "elsewhere_1", None, two).done
    taker, _ = plaza.sign_up(handle=handle)
    assert move(port, handle, taker, two, fence=50).code == "stale"
    assert move(port, handle, taker, two, fence=51).done


def test_a_move_to_the_present_holder_only_bars_earlier_writes(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    assert move(port, handle, seller, seller, fence=8).facts["placeholder"] is None
    assert port.account(account_id=seller)["handle"] == handle
    assert move(port, handle, seller, buyer, fence=7).code == "stale"


def test_a_move_of_nobodys_handle_to_nobody_only_bars_earlier_writes(plaza, port):
    buyer, _ = plaza.sign_up()
    assert move(port, "nobodys_1", None, None, fence=8).done
    assert port.holder(handle="nobodys_1").account_id is None
    assert move(port, "nobodys_1", None, buyer, fence=7).code == "stale"
    assert move(port, "nobodys_1", None, buyer, fence=9).done
    assert move(port, "nobodys_1", None, None, fence=10).code == "stale"
    assert move(port, "nobodys_1", buyer, None, fence=11).code == "malformed"
    assert port.holder(handle="nobodys_1").account_id == buyer


def test_the_account_to_be_renamed_must_hold_the_handle(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    said = move(port, handle, "1002", buyer, expected_holder=seller)
    assert (said.refused, said.code) == (True, "malformed")
    assert port.account(account_id="1002")["handle"] == "nadia"


@pytest.mark.parametrize("status", ["suspended", "deactivated"])
def test_no_handle_goes_to_an_account_that_is_not_active(plaza, port, status):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up(status=status)
    assert move(port, handle, seller, buyer).code == "account_unavailable"
    assert port.holder(handle=handle).account_id == seller


def test_case_does_not_make_another_handle(plaza, port):
    account_id, _ = plaza.sign_up(handle="MixedCase_1")
    assert port.holder(handle="mixedcase_1").account_id == account_id
    taken = plaza.program.pull("/demo/accounts", handle="MIXEDCASE_1")
    assert (taken.status_code, taken.json()["code"]) == (409, "handle_held")


def test_of_two_moves_at_once_exactly_one_wins(plaza):
    ports = [plaza.port() for _ in range(4)]
    for turn in range(25):
        seller, handle = plaza.sign_up()
        buyers = [plaza.sign_up()[0] for _ in ports]
        line = threading.Barrier(len(ports))

        def race(port, buyer, handle=handle, seller=seller, line=line, turn=turn):
            line.wait()
            return move(port, handle, seller, buyer, fence=turn + 1)

        with ThreadPoolExecutor(len(ports)) as threads:
            said = list(threads.map(race, ports, buyers))
        assert sorted(one.code for one in said) == ["", "stale", "stale", "stale"]
        winner = next(b for b, one in zip(buyers, said, strict=True) if one.done)
        assert ports[0].holder(handle=handle).account_id == winner


def test_a_retry_gets_the_first_answer_whatever_happened_since(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    key, fence = fresh_key(), 20
    first = move(port, handle, seller, buyer, key=key, fence=fence)
    assert move(port, handle, buyer, seller, fence=21).done
    assert move(port, handle, seller, buyer, key=key, fence=fence) == first
    assert port.holder(handle=handle).account_id == seller


def test_a_refusal_is_kept_like_any_answer(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    key = fresh_key()
    wish = {"expected_holder": buyer, "key": key, "fence": 20}
    assert move(port, handle, buyer, seller, **wish).facts["code"] == "wrong_holder"
    assert move(port, handle, seller, buyer, fence=19).done
    assert move(port, handle, buyer, seller, **wish).facts["code"] == "wrong_holder"


def test_a_key_is_for_one_payload_and_one_route(plaza, port):
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
    key = fresh_key()
    assert port.reserve(handle="for_one_key", key=key).done
    assert port.unreserve(handle="for_one_key", key=key).code == "idempotency_mismatch"
    assert move(port, handle, seller, buyer, key=key).code == "idempotency_mismatch"
    assert port.holder(handle=handle).account_id == seller


def test_a_write_needs_a_key(plaza):
    url = plaza.program.base + NOTICES
    headers = signed(plaza, NOTICES, BODY) | {"Idempotency-Key": ""}
    assert requests.post(url, BODY, headers=headers, timeout=10).status_code == 401
    body = json.dumps({"items": [{"account_id": "1002", "kind": "k", "text": "t"}]}).encode()
    headers = signed(plaza, "/notices", body)
    told = requests.post(plaza.program.base + "/notices", body, headers=headers, timeout=10).json()
    assert told["items"][0]["answer"]["code"] == "idempotency_key_missing"


def test_pages_of_accounts_stay_in_order_while_handles_move(plaza, port):
    seen, cursor = [], None
    for _ in range(30):
        query = f"?limit=7&cursor={cursor}" if cursor else "?limit=7"
        page = plaza.program.get("/accounts" + query).json()
        seen += [row["account_id"] for row in page["items"]]
        (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up()
        assert move(port, handle, seller, buyer).done
        cursor = page["next"]
    assert seen == sorted(set(seen), key=int)
    assert {str(number) for number in range(1001, 1061)} <= set(seen)
    assert CUSTODIAN not in seen


@pytest.mark.parametrize("query", ["?cursor=x", "?cursor=-1", "?cursor=1.5"])
def test_a_cursor_that_is_none_is_refused(plaza, query):
    answer = plaza.program.get("/accounts" + query)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("path", ["/nothing", "/accounts/1/2/3", "/accounts/999999"])
def test_what_is_not_there_is_a_404_problem(plaza, path):
    answer = plaza.program.get(path)
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
