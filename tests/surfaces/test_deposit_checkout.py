"""In a real browser and over HTTP: money put into a wallet on the provider's own page for cards."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from tests import world as worlds
from tests.demo.checkout import type_card as type_there
from tests.flows.purses import lies
from tests.flows.test_payout import browser as signed_in
from tests.surfaces.test_api import Caller
from tests.surfaces.test_checkout import form_action, type_card
from tests.surfaces.test_paying import until_shown, window

from onym.site import origins
from onym.store.models import Deposit

WISH = {"amount": {"minor": 25_000, "currency": "USD"}, "payment_method": "checkout"}
FORM = {"do": "checkout", "key": "k" * 22, "amount": "250.00"}


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.WALLET = True
    made = worlds.market(settings)
    settings.CARD_ENTRY = "checkout"
    settings.CHECKOUT_ORIGIN = made.out.provider.base
    return made


def test_money_is_put_in_by_typing_a_card_on_the_providers_page_and_no_third_party_on_ours(
    world: worlds.World, settings: Any
) -> None:
    member, _, _ = world.member()
    asked: list[str] = []
    with window(world, settings, member) as (page, base, told):
        page.on("request", lambda one: asked.append(one.url))
        page.goto(f"{base}/en/wallet")
        assert page.locator("#payment_method").count() == 0
        page.fill("#put", "250")
        assert {urlsplit(url).netloc for url in asked} == {urlsplit(base).netloc}
        page.click("button[value=checkout]")
        page.wait_for_url(f"{world.out.provider.base}/c/pay/**")
        first = page.url
        page.click("text=Back to the market")
        page.wait_for_url(f"{base}/en/wallet")
        assert page.get_by_text("The provider waits for your card").count() == 1
        page.click("text=Go on at the provider")
        assert page.url == first
        type_card(page)
        page.wait_for_url(f"{base}/en/wallet")
        until_shown(page, "250.00")
        assert page.get_by_text("The provider waits for your card").count() == 0
    assert told == []
    made = Deposit.objects.get()
    assert (made.state, lies(member)) == ("paid", (25_000, 0))
    assert world.out.taken(made.id) == {"charge": 25_000}
    world.check()


def test_the_wallets_page_alone_may_lead_to_the_providers_exact_origin(
    world: worlds.World, settings: Any
) -> None:
    shown = signed_in(world.member()[0])
    assert form_action(shown.get("/en/wallet")) == f"'self' {world.out.provider.base}"
    assert form_action(shown.get("/en/me")) == "'self'"
    settings.CARD_ENTRY = "both"
    both = shown.get("/en/wallet").content.decode()
    assert all(what in both for what in ('value="checkout"', 'id="payment_method"'))
    settings.CARD_ENTRY = "methods"
    page = shown.get("/en/wallet")
    assert form_action(page) == "'self'"
    assert 'value="checkout"' not in page.content.decode()
    assert shown.post("/en/wallet", FORM).status_code == 400


def test_only_its_member_is_led_on_and_only_to_the_expected_origin(
    world: worlds.World, settings: Any
) -> None:
    mine = signed_in(world.member()[0])
    led = mine.post("/en/wallet", FORM)["Location"]
    assert mine.post("/en/wallet", FORM)["Location"] == led  # the button pressed twice
    assert Deposit.objects.count() == 1
    world.drain()
    there = mine.get(led)["Location"]
    assert there.startswith(f"{world.out.provider.base}/c/pay/")
    assert signed_in(world.member()[0]).get(led).status_code == 404
    settings.CHECKOUT_ORIGIN = origins.STRIPE
    assert mine.get(led)["Location"] == "/en/wallet"
    assert there in mine.get("/en/wallet").content.decode()
    type_there(there)
    world.drain(hurry=True)
    assert mine.get(led)["Location"] == "/en/wallet"
    assert mine.get("/wallet/left")["Location"] == "/en/wallet"


def ask(world: worlds.World, member: Any, key: str) -> Any:
    """Ask while one job is done beside it, as soon as there is one."""

    def work() -> None:
        worlds.until(lambda: Deposit.objects.exists())
        world.drain()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return Caller(member).send("POST", "/wallet/deposits", WISH, key=key)
    finally:
        thread.join()


def test_the_api_answers_the_pages_address_and_until_when_and_then_that_it_is_paid(
    world: worlds.World,
) -> None:
    member, _, _ = world.member()
    told = ask(world, member, "one")
    assert told.status_code == 202, told.content
    made = told.json()
    assert (made["state"], made["payment_method"], made["amount"]) == (
        "action",
        "checkout",
        WISH["amount"],
    )
    assert made["url"].startswith(f"{world.out.provider.base}/c/pay/")
    assert made["expires_at"] > made["made_at"]
    assert ask(world, member, "one").json() == made
    assert Deposit.objects.count() == 1
    type_there(made["url"])
    world.drain(hurry=True)
    paid = ask(world, member, "one")
    assert (paid.status_code, paid.json()["state"], paid.json()["url"]) == (201, "paid", None)
    assert lies(member) == (25_000, 0)


def test_a_page_that_was_given_up_is_402_under_its_key(world: worlds.World) -> None:
    member, _, _ = world.member()
    made = ask(world, member, "one").json()
    given = Caller(member).send("POST", f"/wallet/deposits/{made['id']}/give-up", key="two")
    assert given.status_code == 202
    world.drain()
    told = ask(world, member, "one")
    assert (told.status_code, told.json()["code"]) == (402, "payment_declined")
    assert told.json()["reason"] == "checkout_expired"
