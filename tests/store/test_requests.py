"""What is kept of a named request tells neither what it said nor a link; a retry is still known."""

from __future__ import annotations

import hashlib
import importlib
from typing import Any

import pytest
from django.apps import apps
from tests import make

from onym.core.errors import IdempotencyMismatch
from onym.core.events import canonical
from onym.flows import record
from onym.store.models import IdempotentRequest

pytestmark = pytest.mark.usefixtures("database")
FORM = {"iban": "DE89370400440532013000", "name": "Leila Mansour"}
PLAIN = hashlib.sha256(canonical(FORM)).hexdigest()
TOKEN = "Zk3vX1mQ8r5tYw7uBn0cJd2eFg4hLp6sAaTi9oUx-_0"
ROUTE = f"POST /api/v1/invitations/{TOKEN}/accept"


@pytest.fixture
def member() -> Any:
    return make.member(make.namespace())


def once(member: Any, form: Any = FORM) -> record.Answer:
    """The second time it would answer otherwise."""
    count = IdempotentRequest.objects.count()
    return record.once(
        member=member.id,
        route=record.named(ROUTE),
        key="k",
        payload=form,
        run=lambda: record.Answer(200, count),
    )


def test_the_digest_of_a_payload_is_not_found_by_trying_account_numbers(
    member: Any, settings: Any
) -> None:
    once(member)
    found = IdempotentRequest.objects.get().payload_sha256
    assert PLAIN[1:] not in found
    IdempotentRequest.objects.all().delete()
    settings.FIELD_KEY = "another"
    once(member)
    assert IdempotentRequest.objects.get().payload_sha256 != found


def test_letters_of_another_case_are_another_request(member: Any) -> None:
    once(member)
    with pytest.raises(IdempotencyMismatch):
        once(member, FORM | {"name": "leila mansour"})


def test_an_invitations_link_is_not_kept_with_what_was_sent_to_it(member: Any) -> None:
    once(member)
    kept = IdempotentRequest.objects.get().route
    assert TOKEN not in kept
    assert kept == record.named(ROUTE)
    assert record.named(ROUTE.replace("Z", "Y")) != kept
    assert record.named("POST /api/v1/sales/sal_0192/pay") == "POST /api/v1/sales/sal_0192/pay"


def test_a_retry_of_a_request_from_before_the_upgrade_gets_its_first_answer(member: Any) -> None:
    fields = {"member": member, "key": "k", "made_at": make.NOW, "status": 200, "body": 7}
    IdempotentRequest.objects.create(**fields, route=ROUTE, payload_sha256=PLAIN)
    upgrade = importlib.import_module("onym.store.migrations.0056_keyed_requests")
    for _ in range(2):
        upgrade.put_under_key(apps, None)
        row = IdempotentRequest.objects.get()
        assert (TOKEN in row.route, row.payload_sha256 == PLAIN) == (False, False)
        assert once(member).body == 7
    with pytest.raises(IdempotencyMismatch):
        once(member, FORM | {"name": "Mona"})
    IdempotentRequest.objects.update(payload_sha256=PLAIN)
    assert once(member).body == 7
