"""In a real browser, across two sites: a card whose bank asks, and a seller's payout account."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page
from tests import world as worlds
from tests.faults import ways
from tests.flows.test_payout import browser as signed_in
from tests.surfaces import live

from onym.store.models import Payment, PayoutAccount, Sale


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.CARD_ENTRY = "both"
    return worlds.market(settings)


@contextmanager
def working(world: worlds.World) -> Iterator[None]:
    """Jobs are done as they come, as the jobs process does them."""
    over = threading.Event()

    def work() -> None:
        from django.db import connections

        while not over.is_set():
            world.drain()
            time.sleep(0.05)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def window(
    world: worlds.World, settings: Any, member: Any
) -> Iterator[tuple[Page, str, list[str]]]:
    """The member's window, the market's address, and every error that a page's console told."""
    cookie = signed_in(member).cookies["sessionid"].value
    told: list[str] = []
    with live.served() as port, working(world), live.chromium() as chromium:
        settings.BASE_URL = base = f"http://127.0.0.1:{port}"
        context = chromium.new_context()
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": base}])
        page = context.new_page()
        page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        yield page, base, told


def until_shown(page: Page, words: str) -> None:
    """Load the page again, as it asks for, until it says so."""
    end = time.monotonic() + 20
    while page.get_by_text(words).count() == 0:
        assert time.monotonic() < end, page.inner_text("main")
        page.reload()


def pay(page: Page, base: str, sale: str) -> None:
    page.goto(f"{base}/en/sales/{sale}")
    page.select_option("#payment_method", "pm_card_threeDSecure2Required")
    page.click("button[value=pay]")
    until_shown(page, "Confirm at your bank")


def test_a_buyer_is_led_to_the_bank_says_yes_and_comes_back_to_a_paid_sale(
    world: worlds.World, settings: Any
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with window(world, settings, way.buyer) as (page, base, told):
        pay(page, base, sale)
        page.click("text=Confirm at your bank")
        assert page.url.startswith(world.out.provider.base)
        page.click("text=Yes, pay")
        page.click("text=Back to the market")
        assert page.url == f"{base}/en/sales/{sale}"
        until_shown(page, "cooling-off before the handle moves")
    assert told == []
    assert Payment.objects.get(sale_id=sale).state == "paid"
    assert Sale.objects.get(pk=sale).state == "cooling"
    world.check(sale)


@pytest.mark.faults
def test_a_buyer_who_says_no_at_the_bank_pays_with_another_card(
    world: worlds.World, settings: Any
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with window(world, settings, way.buyer) as (page, base, told):
        pay(page, base, sale)
        page.click("text=Confirm at your bank")
        page.click("button[value=no]")
        page.click("text=Back to the market")
        until_shown(page, "The payment was declined")
        page.select_option("#payment_method", "pm_card_visa")
        page.click("button[value=pay]")
        until_shown(page, "cooling-off before the handle moves")
    assert told == []
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check(sale)


def test_a_seller_sets_up_a_payout_account_and_comes_back_to_find_it_ready(
    world: worlds.World, settings: Any
) -> None:
    seller, _, _ = world.holder(mail="sally@one.example")
    PayoutAccount.objects.filter(member=seller).delete()
    with window(world, settings, seller) as (page, base, told):
        page.goto(f"{base}/en/me/payout")
        page.click("text=Set up a payout account")
        until_shown(page, "external_account")
        page.click("text=Go on at the provider")
        assert page.url.startswith(world.out.provider.base)
        page.click("text=Give the details")
        page.click("text=Back to the market")
        assert page.url == f"{base}/en/me/payout"
        until_shown(page, "Change your details at the provider")
    assert told == []
    assert PayoutAccount.objects.get(member=seller).ready_at is not None
