"""Whoever asks too often is told so, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.core.errors import RateLimited
from onym.flows import limits
from onym.flows.limits import Limit
from onym.store.models import RateWindow


@pytest.fixture
def few(database: Any, settings: Any) -> Any:
    """Limits small enough to reach, in a window that does not end meanwhile."""
    settings.DEMO, settings.NAMESPACE = True, "demo"
    make.namespace()
    before = dict(limits.LIMITS)
    limits.LIMITS.update({name: Limit(2, 10**9) for name in before})
    yield
    limits.LIMITS.update(before)


def test_the_third_of_two_is_refused_and_others_are_not(few: Any) -> None:
    for _ in range(2):
        limits.spend("reclaim", who="one")
    with pytest.raises(RateLimited):
        limits.spend("reclaim", who="one")
    limits.spend("reclaim", who="another")
    limits.spend("sign_in", who="one")


def test_a_new_window_begins_at_one(few: Any) -> None:
    for _ in range(2):
        limits.spend("reclaim", who="one")
    RateWindow.objects.update(window=-1)
    limits.spend("reclaim", who="one")
    assert RateWindow.objects.get().count == 1


def test_the_public_answer_is_no_shopping_list(few: Any) -> None:
    answers = [Client().get("/api/v1/handles/moon/reclaim") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert answers[-1]["Retry-After"] == str(10**9)


def test_passwords_are_not_guessed_by_the_dozen(few: Any) -> None:
    typed = {"mail": "leila@mail.example", "password": "guess"}
    answers = [Client().post("/en/sign-in", typed).status_code for _ in range(3)]
    assert answers == [403, 403, 429]
