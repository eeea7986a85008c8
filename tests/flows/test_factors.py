"""A second factor's code counts once, whoever races for it, and its secret opens for its owner."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidTag
from django.db import connection
from tests import make
from tests.surfaces import signing

from onym.flows import factors, people
from onym.store.models import Member

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def by_many(user: Any, code: str, *, times: int = 6) -> int:
    """How many of so many who give the same code at once are let in."""
    found, together = [], threading.Barrier(times)

    def give() -> None:
        together.wait()
        found.append(factors.by_code(user=user, code=code))
        connection.close()

    threads = [threading.Thread(target=give) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len([one for one in found if one is not None])


@pytest.mark.parametrize("kind", ["totp", "recovery code"])
def test_of_many_who_give_one_code_at_once_one_is_let_in(place: Any, kind: str) -> None:
    member = signing.leila()
    secret = make.totp(member)
    codes = factors.new_recovery_codes(member=member.id)
    code = make.totp_code(secret) if kind == "totp" else codes[0]
    assert by_many(Member.objects.get(pk=member.id).user, code) == 1


def test_a_secret_moved_to_another_member_does_not_open(place: Any) -> None:
    one = signing.leila()
    secret = make.totp(one)
    other = people.join(namespace="demo", name="N", mail="n@mail.example", password="kiln-clay-8")
    Authenticator.objects.update(user=Member.objects.get(pk=other.id).user)
    with pytest.raises(InvalidTag):
        factors.by_code(user=Member.objects.get(pk=other.id).user, code=make.totp_code(secret))
