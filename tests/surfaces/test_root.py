"""The inboxes at the site root: signed or refused, and harmless when told twice."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.store.models import Notice

pytestmark = pytest.mark.usefixtures("database")
LETTER = {
    "from": "Reporter <reporter@paper.example>",
    "to": "press@onym.example",
    "subject": "Is it true?",
    "text": "A question.",
    "message_id": "<1@paper.example>",
    "in_reply_to": "",
    "auto_submitted": "",
}


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.INBOUND_SECRET = "inbound"
    return make.namespace()


def post(letter: dict[str, str], *, key: str = "inbound") -> Any:
    body = json.dumps(letter).encode()
    stamp = str(int(time.time()))
    mark = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return Client().post(
        "/mail/inbound",
        body,
        content_type="application/json",
        headers={"Onym-Signature": f"t={stamp},v1={mark}"},
    )


LETTERS = [
    ({}, "replied", 1),
    ({"auto_submitted": "auto-replied"}, "ignored", 0),
    ({"to": "team@onym.example"}, "kept", 0),
]


@pytest.mark.parametrize(("changes", "state", "replies"), LETTERS)
def test_the_press_address_answers_people_and_nobody_else(
    place: Any, changes: dict[str, str], state: str, replies: int
) -> None:
    for _ in range(2):
        answer = post(LETTER | changes)
        assert (answer.status_code, answer.json()) == (200, {"state": state})
    assert Notice.objects.filter(kind="press_reply").count() == replies


def test_whoever_is_named_as_the_sender_of_many_letters_gets_three_answers_a_day(
    place: Any,
) -> None:
    said = [
        post(LETTER | {"message_id": f"<{at}@paper.example>"}).json()["state"] for at in range(5)
    ]
    assert said == ["replied"] * 3 + ["ignored"] * 2
    assert Notice.objects.filter(kind="press_reply").count() == 3
    assert post(LETTER | {"from": "eve@other.example"}).json() == {"state": "replied"}


def test_a_letter_without_our_signature_is_refused(place: Any) -> None:
    assert post(LETTER, key="another").status_code == 401
    bare = Client().post("/mail/inbound", "{}", content_type="application/json")
    assert (bare.status_code, bare.json()["code"]) == (400, "malformed")
    assert not Notice.objects.exists()


def test_the_clock_is_for_the_demo_alone(place: Any, settings: Any) -> None:
    answer = Client().post("/demo/clock", "{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    settings.DEMO = False
    answer = Client().post("/demo/clock", "{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["nothing", "../keys/log", "tile/0/000", "tile/entries/x"])
def test_only_the_logs_own_files_are_served(place: Any, path: str) -> None:
    assert Client().get(f"/log/{path}").status_code == 404
