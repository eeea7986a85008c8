"""A card whose bank asks the buyer: confirmed there, refused there, left alone, or given up."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from tests import make
from tests import world as worlds
from tests.faults import test_outside, ways
from tests.faults.ways import GOOD, Way

from onym.core.errors import AlreadyClosed, InProgress, NotAllowed
from onym.flows import payments
from onym.queries import sale as queries
from onym.store.models import Payment, Sale

ASKS = "pm_card_threeDSecure2Required"


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


@pytest.fixture
def asked(world: worlds.World) -> tuple[Way, str]:
    """A sale whose buyer is asked by the bank."""
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale, ASKS)
    world.drain()
    return way, sale


def charge(sale: str) -> Payment:
    return Payment.objects.filter(sale_id=sale, kind="charge").latest("id")


def answer(sale: str, said: str) -> None:
    """What the buyer does on the bank's own page."""
    told = requests.post(charge(sale).action_url, data={"answer": said}, timeout=10)
    assert told.ok


def test_the_buyer_is_led_to_the_bank_and_the_sale_goes_on_waiting(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    assert charge(sale).state == "action"
    assert charge(sale).action_url.startswith(world.out.provider.base)
    seen = queries.sale(sale, viewer=way.buyer.id)
    assert (seen["state"], seen["action_url"]) == ("funding", charge(sale).action_url)
    assert queries.sale(sale, viewer=way.seller.id)["action_url"] is None
    assert sum(world.out.taken(sale).values()) == 0
    with pytest.raises(InProgress):
        payments.pay(sale_id=sale, by=way.buyer.id, method=GOOD)


def test_a_confirmed_payment_is_found_by_asking_and_the_sale_goes_its_way(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    answer(sale, "yes")
    payments.look_again(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert charge(sale).state == "paid"
    assert queries.sale(sale, viewer=way.buyer.id)["action_url"] is None
    test_outside.finish(way, sale)


def test_a_confirmation_that_nobody_told_of_is_found_all_the_same(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    answer(sale, "yes")
    world.drain(hurry=True)
    assert charge(sale).state == "paid"
    test_outside.finish(way, sale)


def test_a_payment_that_the_buyer_denies_at_the_bank_may_be_made_with_another_card(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    answer(sale, "no")
    world.drain(hurry=True)
    assert charge(sale).state == "declined"
    way.turn = "-again"
    way.pay(sale, GOOD)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


def test_a_confirmation_left_alone_is_given_up_when_the_time_to_pay_is_over(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    _, sale = asked
    url = charge(sale).action_url
    world.pass_time(days=3.1)
    assert (charge(sale).state, Sale.objects.get(pk=sale).state) == ("cancelled", "expired")
    assert requests.post(url, data={"answer": "yes"}, timeout=10).ok  # it comes too late
    world.drain(hurry=True)
    assert sum(world.out.taken(sale).values()) == 0
    world.check(sale)


def test_the_buyer_may_give_a_confirmation_up_and_pay_otherwise(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    with pytest.raises(NotAllowed):
        payments.pay_otherwise(sale_id=sale, by=way.seller.id)
    payments.pay_otherwise(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert (charge(sale).state, Sale.objects.get(pk=sale).state) == ("cancelled", "funding")
    with pytest.raises(AlreadyClosed):
        payments.pay_otherwise(sale_id=sale, by=way.buyer.id)
    way.turn = "-again"
    way.pay(sale, GOOD)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


def test_silence_of_the_provider_takes_nothing_back_from_a_buyer_who_must_confirm(
    world: worlds.World, asked: tuple[Way, str]
) -> None:
    way, sale = asked
    test_outside.plan(world, "*", "silent", times=1)
    payments.look_again(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert (charge(sale).state, Sale.objects.get(pk=sale).state) == ("action", "funding")
    assert charge(sale).action_url


def test_the_api_answers_202_with_the_sale_and_the_banks_address(
    world: worlds.World, client: Any
) -> None:
    import threading

    way = ways.trade(world, mail=False)
    sale = way.agree()
    headers = {"Authorization": f"Bearer {make.token(way.buyer)}", "Idempotency-Key": "pay-it"}
    done: list[int] = []

    def work() -> None:
        from django.db import connections

        worlds.until(lambda: Payment.objects.filter(sale_id=sale).exists())
        done.append(world.drain())
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    told = client.post(
        f"/api/v1/sales/{sale}/pay",
        json.dumps({"payment_method": ASKS}),
        content_type="application/json",
        headers=headers,
    )
    thread.join()
    assert told.status_code == 202, told.content
    assert told.json()["state"] == "funding"
    assert told.json()["action_url"] == charge(sale).action_url
