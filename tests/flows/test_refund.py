"""Money on its way back: asked about until it is known, and a person looks where it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.flows import test_payout as pages

from onym.core.errors import AlreadyClosed, InProgress, NotAllowed
from onym.core.sale import PaymentState
from onym.flows import dispute, payments
from onym.flows import sale as sales
from onym.store.models import Payment, Sale


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    made = worlds.market(settings)
    made.out.own_funds()
    return made


def state(sale: str) -> str:
    return str(Sale.objects.get(pk=sale).state)


def refunding(world: worlds.World) -> tuple[ways.Way, str, Payment]:
    """A sale that its seller has cancelled while it cooled; nobody was asked for its money yet."""
    way = ways.trade(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    sales.cancel(sale_id=sale, by=way.seller.id)
    return way, sale, Payment.objects.get(sale_id=sale, kind="refund")


def refused(world: worlds.World) -> tuple[ways.Way, str, Payment]:
    way, sale, refund = refunding(world)
    answer(refund, PaymentState.REFUSED, "balance_insufficient")
    world.drain(hurry=True)
    assert state(sale) == "refunding"
    return way, sale, refund


def answer(refund: Payment, said: PaymentState, reason: str) -> None:
    payments.record_refund(
        payment_id=refund.id, state=said, provider="stripe", provider_id=None, reason=reason
    )


def forget(task: str) -> None:
    """As after the last try of a job that failed each time, once it was cleared away."""
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs where task_name = %s", [task])
        assert cursor.rowcount


def test_a_refused_refund_waits_at_the_desk_and_is_ordered_again_from_there(
    world: worlds.World,
) -> None:
    _, sale, refund = refused(world)
    looking = pages.browser(make.member(world.place, roles="auditor"))
    seen = looking.get("/en/desk/?kind=refund").content.decode()
    assert (refund.id in seen, "balance_insufficient" in seen) == (True, True)
    assert 'value="refund"' not in seen
    judge = pages.browser(make.member(world.place, roles="reviewer"))
    asked = {"do": "refund", "about": refund.id, "key": "give-it-back"}
    told = judge.post("/en/desk/", asked, follow=True).content.decode()
    assert "The refund is ordered again." in told
    assert refund.id not in judge.get("/en/desk/").content.decode()
    world.drain(hurry=True)
    assert state(sale) == "refunded"
    assert world.out.taken(sale) == {"charge": 63_000, "refund": -63_000}
    world.check(sale)


def test_a_refund_is_ordered_again_over_the_api_once(world: worlds.World) -> None:
    _, sale, refund = refused(world)
    judge = make.member(world.place, roles="reviewer")
    path = f"/api/v1/desk/refunds/{refund.id}/again"
    for key, status in (("again-and-1", 200), ("again-and-1", 200), ("again-and-2", 409)):
        told = Client().post(
            path,
            "{}",
            content_type="application/json",
            headers={"authorization": f"Bearer {make.token(judge)}", "idempotency-key": key},
        )
        assert told.status_code == status, told.content
    world.drain(hurry=True)
    assert state(sale) == "refunded"
    world.check(sale)


@pytest.mark.parametrize("open_", [PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.DONE])
def test_a_refund_that_was_not_refused_is_not_ordered_again(
    world: worlds.World, open_: PaymentState
) -> None:
    _, sale, refund = refunding(world)
    Payment.objects.filter(pk=refund.id).update(state=open_)
    judge = make.member(world.place, roles="reviewer")
    with pytest.raises(AlreadyClosed):
        payments.refund_again(payment_id=refund.id, by=judge.id)
    assert Payment.objects.filter(sale_id=sale, kind="refund").count() == 1


def test_neither_a_party_nor_an_auditor_orders_a_refund_again_nor_anybody_while_a_bank_decides(
    world: worlds.World,
) -> None:
    way, sale, refund = refused(world)
    for by in (way.buyer, make.member(world.place, roles="auditor")):
        with pytest.raises(NotAllowed):
            payments.refund_again(payment_id=refund.id, by=by.id)
    Sale.objects.filter(pk=sale).update(frozen=True)
    judge = make.member(world.place, roles="reviewer")
    with pytest.raises(InProgress):
        payments.refund_again(payment_id=refund.id, by=judge.id)


@pytest.mark.parametrize("said", [PaymentState.PENDING, PaymentState.UNKNOWN])
def test_a_refund_that_nobody_asks_about_any_more_is_asked_about_again(
    world: worlds.World, said: PaymentState
) -> None:
    _, sale, refund = refunding(world)
    answer(refund, said, "")
    forget("sale.refund")
    world.pass_time(days=0.02)
    assert state(sale) == "refunded"
    world.check(sale)


def test_a_refund_that_somebody_asks_about_is_not_asked_about_twice(world: worlds.World) -> None:
    _, _, refund = refunding(world)
    payments.refund_late(payment_id=refund.id)
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from procrastinate_jobs where lock = %s", [refund.id])
        assert cursor.fetchone() == (1,)


def test_a_way_back_that_nobody_asks_about_any_more_is_asked_about_again(
    world: worlds.World,
) -> None:
    way = ways.trade(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    world.pass_time(days=1.1)
    sales.dispute(sale_id=sale, by=way.buyer.id)
    judge = make.member(world.place, roles="reviewer")
    dispute.decide(sale_id=sale, by=judge.id, outcome="return")
    forget("dispute.take_back")
    world.pass_time(days=0.02)
    assert state(sale) == "refunded"
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).seller_account_id
    world.check(sale)
