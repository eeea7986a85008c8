"""The contract's OpenAPI file against the demo's platform: the same routes, and every answer in the
form that it promises.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key

from onym.ports.platform import COLUMNS
from onym.ports.signatures import Signer
from onym_demo.platform import contract

FILE = Path(__file__).parents[2] / "docs" / "guides" / "platform.openapi.yaml"
SCHEMA = schemathesis.openapi.from_path(FILE)
READS = ["/capabilities", "/accounts", "/accounts/{id}", "/handles/{handle}"]
NOTICE = {"kind": "k", "text": "t", "href": None}
CALM = settings(
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


def test_the_file_is_valid_openapi():
    SCHEMA.validate()


def test_the_file_names_the_platforms_routes_and_no_others():
    written = {(path, verb.upper()) for path, verbs in SCHEMA.raw_schema["paths"].items()
               for verb in verbs if verb in ("get", "post")}  # fmt: skip
    served = {
        (route.path.replace("{account_id}", "{id}"), "POST" if "POST" in route.methods else "GET")
        for route in contract.ROUTES
        if not route.path.startswith("/hooks/")  # the operator's own, beside the contract
    }
    assert written == served


def test_the_file_names_every_column_of_an_account():
    assert set(SCHEMA.raw_schema["components"]["schemas"]["Account"]["properties"]) == set(COLUMNS)


def test_the_capabilities_of_the_file_are_those_that_the_port_reads():
    known = SCHEMA.raw_schema["components"]["schemas"]["Capabilities"]["properties"]
    assert set(known) <= set(contract.CAPABILITIES)


@pytest.mark.parametrize("path", READS)
def test_a_read_of_anything_is_answered_in_the_promised_form(plaza, path):
    operation = SCHEMA[path]["GET"]

    @CALM
    @given(case=operation.as_strategy())
    def holds(case):
        answer = case.call(base_url=plaza.program.base)
        assert answer.status_code < 500
        case.operation.validate_response(answer)

    holds()


def write(plaza, path, body, key=None):
    """A POST signed as the contract says."""
    raw = json.dumps(body).encode()
    url = plaza.program.base + path
    named = {"Idempotency-Key": key or fresh_key(), "Content-Type": "application/json"}
    signer = Signer(key_id="onym", private_key=plaza.key)
    signed = signer.signed(method="POST", url=url, headers=named, body=raw)
    return requests.post(url, raw, headers=signed, timeout=10)


def signed_read(plaza, path):
    """A GET signed as the contract says."""
    url = plaza.program.base + path
    signer = Signer(key_id="onym", private_key=plaza.key)
    signed = signer.signed(method="GET", url=url, headers={}, body=b"")
    return requests.get(url, headers=signed, timeout=10)


def move(to, expected, fence):
    return {
        "from": expected,
        "to": to,
        "placeholder": None,
        "expected_holder": expected,
        "fence": fence,
    }


def test_every_kind_of_write_and_refusal_is_in_the_promised_form(plaza):
    (one, handle), (two, _) = plaza.sign_up(), plaza.sign_up()
    batch = {"items": [{**NOTICE, "account_id": name, "key": fresh_key()} for name in (one, "x")]}
    address = {"email": "new@mail.example", "fence": 1}
    asked = [
        ("/handles/{handle}/move", f"/handles/{handle}/move", move(two, one, 1), 200),
        ("/handles/{handle}/move", f"/handles/{handle}/move", move(one, two, 1), 412),
        ("/handles/{handle}/move", f"/handles/{handle}/move", move("x", two, 2), 422),
        ("/handles/{handle}/move", f"/handles/{handle}/move", [], 400),
        ("/handles/{handle}/reserve", "/handles/openapi_1/reserve", {}, 200),
        ("/handles/{handle}/reserve", f"/handles/{handle}/reserve", {}, 409),
        ("/handles/{handle}/unreserve", "/handles/openapi_1/unreserve", {}, 200),
        ("/accounts/{id}/notices", f"/accounts/{one}/notices", NOTICE, 201),
        ("/accounts/{id}/notices", "/accounts/x/notices", NOTICE, 404),
        ("/notices", "/notices", batch, 200),
        ("/accounts/{id}/hand-over", f"/accounts/{one}/hand-over", address, 200),
        ("/accounts/{id}/hand-over", f"/accounts/{one}/hand-over", address, 412),
    ]
    for route, path, body, status in asked:
        answer = write(plaza, path, body)
        assert answer.status_code == status, answer.text
        SCHEMA[route]["POST"].validate_response(answer)


@CALM
@given(body=st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_a_move_that_says_anything_else_is_refused_in_the_promised_form(plaza, body):
    answer = write(plaza, "/handles/openapi_2/move", body)
    assert answer.status_code == 422
    SCHEMA["/handles/{handle}/move"]["POST"].validate_response(answer)


def test_a_read_back_of_a_hand_over_is_in_the_promised_form(plaza):
    operation = SCHEMA["/accounts/{id}/hand-over"]["GET"]
    one = plaza.sign_up()[0]
    before = signed_read(plaza, f"/accounts/{one}/hand-over")
    write(plaza, f"/accounts/{one}/hand-over", {"email": "new@mail.example", "fence": 1})
    answers = [before, signed_read(plaza, f"/accounts/{one}/hand-over")]
    answers.append(signed_read(plaza, "/accounts/x/hand-over"))
    answers.append(requests.get(f"{plaza.program.base}/accounts/{one}/hand-over", timeout=10))
    assert [answer.status_code for answer in answers] == [200, 200, 404, 401]
    for answer in answers:
        operation.validate_response(answer)


@pytest.mark.parametrize(
    ("route", "path", "body", "again"),
    [
        ("/handles/{handle}/move", "/handles/openapi_3/move", move("x", None, 1), 409),
        ("/handles/{handle}/reserve", "/handles/openapi_3/reserve", {}, 409),
        ("/handles/{handle}/unreserve", "/handles/openapi_3/unreserve", {}, 409),
        ("/accounts/{id}/notices", "/accounts/x/notices", NOTICE, 409),
        ("/accounts/{id}/hand-over", "/accounts/x/hand-over", {"email": None, "fence": 1}, 409),
        ("/notices", "/notices", {"items": []}, 200),  # each item has a key of its own
    ],
)
def test_what_any_write_may_hear_is_in_the_promised_form(plaza, route, path, body, again):
    operation, key = SCHEMA[route]["POST"], fresh_key()
    write(plaza, path, body, key)
    another = write(plaza, path, {**body, "more": True}, key)
    unsigned = requests.post(plaza.program.base + path, json=body, timeout=10)
    plaza.arm("busy", on="writes", times=1, seconds=1)
    busy = write(plaza, path, body)
    assert [heard.status_code for heard in (another, unsigned, busy)] == [again, 401, 429]
    for heard in (another, unsigned, busy):
        operation.validate_response(heard)
