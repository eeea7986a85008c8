"""The provider's inbox: signed, kept once, followed by a job, and believed in nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests import world as worlds
from tests.faults import test_outside, ways
from tests.faults.ways import Way

from onym.ports.stripe import StripePayments
from onym.store.models import Chargeback, Entry, Payment, PayoutAccount, ProviderEvent
from onym_demo.payments import webhooks

OLD, NEW = "whsec_old", "whsec_new"
DAY = 86_400


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


@pytest.fixture
def waiting(world: worlds.World) -> tuple[Way, str]:
    """A sale whose payment the provider took, and whose answer was lost."""
    way = ways.trade(world, price=400, mail=False)
    sale = way.agree()
    test_outside.plan(world, "payment_intents.confirm", "lost")
    way.pay(sale)
    world.drain()
    assert Payment.objects.get(sale_id=sale).state == "unknown"
    with connection.cursor() as cursor:  # what comes back by itself comes too late for this test
        cursor.execute(
            "update procrastinate_jobs set scheduled_at = scheduled_at + '1h' where status = 'todo'"
        )
    return way, sale


def event(kind: str, about: dict[str, Any], *, id_: str = "evt_1", created: int = 0) -> bytes:
    made = created or int(time.time())
    body = {"id": id_, "object": "event", "type": kind, "created": made, "data": {"object": about}}
    return json.dumps(body).encode()


def paid(sale: str, **changes: Any) -> bytes:
    intent = {"id": "pi_any", "object": "payment_intent", "metadata": {"sale_id": sale}}
    return event("payment_intent.succeeded", intent, **changes)


def post(client: Any, payload: bytes, *, secret: str = worlds.SECRET, at: float = 0) -> int:
    header = webhooks.signature(payload=payload, secrets=(secret,), at=int(at or time.time()))
    return send(client, payload, header)


def send(client: Any, payload: bytes, header: str) -> int:
    answer = client.post(
        "/hooks/payments/stripe",
        payload,
        content_type="application/json",
        headers={"Stripe-Signature": header},
    )
    return int(answer.status_code)


def outcomes() -> list[tuple[str, int, str]]:
    rows = ProviderEvent.objects.order_by("id")
    return list(rows.values_list("event", "times", "outcome"))


def test_a_delivery_is_kept_answered_and_followed_by_a_job(
    world: worlds.World, client: Any, waiting: tuple[Way, str]
) -> None:
    _, sale = waiting
    assert post(client, paid(sale)) == 200
    assert outcomes() == [("evt_1", 1, "waiting")]
    world.drain()
    assert outcomes() == [("evt_1", 1, "asked")]
    assert Payment.objects.get(sale_id=sale).state == "paid"
    assert Entry.objects.filter(kind="funded").count() == 1
    world.check(sale)


def test_a_hundred_deliveries_of_one_event_are_one_row_and_one_question(
    world: worlds.World, client: Any, waiting: tuple[Way, str]
) -> None:
    _, sale = waiting
    assert [post(client, paid(sale)) for _ in range(100)] == [200] * 100
    assert outcomes() == [("evt_1", 100, "waiting")]
    world.drain()
    assert outcomes() == [("evt_1", 100, "asked")]
    assert Entry.objects.filter(kind="funded").count() == 1
    world.check(sale)


def test_events_in_the_wrong_order_and_days_late_end_as_the_provider_says(
    world: worlds.World, client: Any, waiting: tuple[Way, str]
) -> None:
    """First the failure of an earlier try, then success: told in any order, days later."""
    _, sale = waiting
    intent = {"id": "pi_any", "object": "payment_intent", "metadata": {"sale_id": sale}}
    long_ago = int(time.time()) - 3 * DAY
    late = event("payment_intent.payment_failed", intent, id_="evt_failed", created=long_ago)
    assert post(client, paid(sale, id_="evt_paid", created=long_ago)) == 200
    assert post(client, late) == 200
    world.drain()
    assert Payment.objects.get(sale_id=sale).state == "paid"
    world.check(sale)


FORGED: list[tuple[str, int]] = [
    ("", 400),
    ("nonsense", 400),
    ("t=1,t=2,v1=00", 400),
    (f"t={2**33},v1=00", 401),
    ("t=1,v1=zz", 401),
]


@pytest.mark.parametrize(("header", "status"), FORGED)
def test_a_delivery_without_a_signature_that_holds_is_refused_and_not_kept(
    world: worlds.World, client: Any, waiting: tuple[Way, str], header: str, status: int
) -> None:
    _, sale = waiting
    assert send(client, paid(sale), header) == status
    assert not ProviderEvent.objects.exists()


def test_a_delivery_signed_by_another_or_long_ago_or_changed_on_the_way_is_refused(
    world: worlds.World, client: Any, waiting: tuple[Way, str]
) -> None:
    _, sale = waiting
    payload = paid(sale)
    assert post(client, payload, secret="whsec_of_somebody_else") == 401
    assert post(client, payload, at=time.time() - 3 * DAY) == 401
    good = webhooks.signature(payload=payload, secrets=(worlds.SECRET,), at=int(time.time()))
    assert send(client, payload.replace(b"succeeded", b"canceled!"), good) == 401
    assert not ProviderEvent.objects.exists()


def test_while_a_secret_is_changed_both_are_taken_and_afterwards_only_the_new_one(
    world: worlds.World, client: Any, waiting: tuple[Way, str]
) -> None:
    _, sale = waiting

    def install(*secrets: str) -> None:
        world.install(
            payments=StripePayments(
                api_key="sk_test_onym",
                api_base=world.out.provider.base,
                webhook_secrets=secrets,
            )
        )

    install(OLD)
    assert post(client, paid(sale, id_="evt_a"), secret=OLD) == 200
    assert post(client, paid(sale, id_="evt_b"), secret=NEW) == 401
    install(OLD, NEW)
    assert post(client, paid(sale, id_="evt_c"), secret=OLD) == 200
    assert post(client, paid(sale, id_="evt_d"), secret=NEW) == 200
    install(NEW)
    assert post(client, paid(sale, id_="evt_e"), secret=OLD) == 401
    assert [name for name, _, _ in outcomes()] == ["evt_a", "evt_c", "evt_d"]


def test_a_delivery_about_a_sale_that_we_do_not_know_is_kept_as_unknown(
    world: worlds.World, client: Any
) -> None:
    assert post(client, paid("sal_of_somebody_else")) == 200
    world.drain()
    assert outcomes() == [("evt_1", 1, "unknown")]


def test_a_delivery_about_a_sale_with_nothing_left_to_ask_changes_nothing(
    world: worlds.World, client: Any
) -> None:
    way = ways.trade(world, price=400, mail=False)
    sale = way.agree()
    assert post(client, paid(sale)) == 200
    world.drain()
    assert outcomes() == [("evt_1", 1, "nothing_open")]
    assert not Payment.objects.exists()


MALFORMED = [
    b"",
    b"not json",
    b"[]",
    b"{}",
    b'{"id": 5, "type": "x", "data": {"object": {}}}',
    b'{"id": "evt_1", "type": "x", "data": []}',
    b"[" * 100_000,
    b'{"id": "evt_1", "type": "' + b"x" * 1_000_001,
]


@pytest.mark.parametrize("payload", MALFORMED)
def test_a_signed_delivery_that_is_no_event_is_malformed_and_not_kept(
    world: worlds.World, client: Any, payload: bytes
) -> None:
    assert post(client, payload) == 400
    assert not ProviderEvent.objects.exists()


ODD: list[dict[str, Any]] = [
    {"id": "evt_1", "type": "x" * 500, "data": {"object": {"metadata": {"sale_id": "s" * 500}}}},
    {"id": "e" * 500, "type": "x", "created": -5, "data": {"object": {}}},
    {"id": "evt_1", "type": "x", "created": 10**30, "data": {"object": {"metadata": 7}}},
    {"id": "evt_1", "type": "x", "account": 7, "data": {"object": {"payment_intent": []}}},
]


@pytest.mark.parametrize("body", ODD)
def test_an_event_with_odd_values_is_kept_and_asks_about_nothing(
    world: worlds.World, client: Any, body: dict[str, Any]
) -> None:
    assert post(client, json.dumps(body).encode()) == 200
    world.drain()
    assert [outcome for _, _, outcome in outcomes()] == ["unknown"]


def test_what_a_delivery_says_is_never_believed(world: worlds.World, client: Any) -> None:
    """It says paid, charged back and closed; the provider knows of none of it."""
    way = ways.trade(world, price=400, mail=False)
    sale = way.agree()
    way.pay(sale, "pm_onym_lostRequest")
    world.drain()
    intent = {"payment_intent": "pi_any", "metadata": {"sale_id": sale}, "object": "dispute"}
    assert post(client, paid(sale)) == 200
    assert post(client, event("charge.dispute.closed", intent, id_="evt_2")) == 200
    world.drain()
    assert not Chargeback.objects.exists()
    assert not Entry.objects.exists()
    world.check_sale(sale)


def test_an_event_about_a_payout_account_leads_to_a_look_at_it(
    world: worlds.World, client: Any
) -> None:
    member = make.member(world.place, account="7000")
    PayoutAccount.objects.filter(member=member).update(account=world.out.bank, ready_at=None)
    about = {"id": world.out.bank, "object": "account"}
    assert post(client, event("account.updated", about)) == 200
    world.drain()
    assert outcomes() == [("evt_1", 1, "asked")]
    assert PayoutAccount.objects.get(member=member).ready_at is not None
