"""Every door of the desk, for every role: who may not pass is refused before anything is touched
and before the platform is asked.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.core.access import ALLOWED, Action
from onym.store.models import Approval, Handle

_keys = itertools.count(1)
pytestmark = pytest.mark.usefixtures("database")
PRICE = {"minor": 90_000, "currency": "USD"}
CAMPAIGN = {"handle": "fresh", "price": PRICE, "criteria": "", "recipients": [{"mail": "a@b.c"}]}
SALE = {"handle": "fresh", "price": PRICE}
DOORS: list[tuple[str, Any, Action]] = [
    ("/listings", SALE, Action.LIST),
    ("/desk/house-purchases", SALE, Action.HOUSE_PURCHASE),
    ("/desk/campaigns", CAMPAIGN, Action.CAMPAIGN),
    ("/desk/whole-accounts", {"on": True}, Action.SET_PHASE),
    ("/desk/release-stop", {"on": True}, Action.SET_STOP),
    ("/desk/area-stops", {"area": "sales", "on": True}, Action.SET_STOP),
    ("/desk/phase", {"phase": "closed"}, Action.SET_PHASE),
    ("/desk/lists/reserved", {"add": ["fresh"]}, Action.EDIT_LISTS),
    ("/desk/sweeps", {"policy": "x-2023"}, Action.SWEEP),
    ("/desk/bank/files", None, Action.BANK),
]
BINDING = [*[door[:2] for door in DOORS[:3]], ("/desk/bank/files", None)]
ROLES = ("", *ALLOWED)
REFUSED = [
    (role, *door)
    for role in ROLES
    for door in DOORS
    if door[2] not in ALLOWED.get(role, frozenset()) and (role or door[0] != "/listings")
]


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def send(client: Client, path: str, wish: Any, **headers: str) -> Any:
    """A write of the API; a browser's session goes without a token."""
    headers["Idempotency-Key"] = f"door-{next(_keys)}"
    body = json.dumps(wish) if wish is not None else ""
    kind = "application/json"
    return client.post(f"/api/v1{path}", body, content_type=kind, headers=headers)


@pytest.mark.parametrize(("role", "path", "wish", "action"), REFUSED)
def test_a_role_that_may_not_is_refused_before_anything_is_touched(
    place: Any, role: str, path: str, wish: Any, action: Action
) -> None:
    """No platform is connected here: whoever asked it would be told `platform_unavailable`."""
    token = make.token(make.member(place, roles=role))
    answer = send(Client(), path, wish, Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), answer.content
    assert not Handle.objects.exists()
    assert not Approval.objects.exists()


@pytest.mark.parametrize(("path", "wish"), BINDING)
def test_who_sells_the_stock_or_sends_money_has_just_confirmed(
    place: Any, path: str, wish: Any
) -> None:
    client = make.browser(make.member(place, roles="curator"), ago=1_000)
    answer = send(client, path, wish)
    assert answer.json()["code"] == "second_factor_needed", answer.content
    assert not Handle.objects.exists()


def test_the_page_of_the_switches_asks_the_platform_for_nobody_who_may_not_switch(
    place: Any,
) -> None:
    client = make.browser(make.member(place, roles="auditor"), ago=0)
    asked = {"do": "whole_accounts", "on": "1", "key": "one"}
    assert client.post("/en/desk/switches", asked).status_code == 403
