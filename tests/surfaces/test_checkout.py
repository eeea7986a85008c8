"""In a real browser: a card typed on the provider's own page, and no third party on ours."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from playwright.sync_api import Page
from tests import make
from tests import world as worlds
from tests.demo.checkout import ASKS, DECLINED, VISA
from tests.demo.checkout import type_card as type_there
from tests.faults import test_outside, ways
from tests.flows.test_checkout import states, taken
from tests.surfaces.test_paying import until_shown, window

from onym.site import origins
from onym.store.models import Payment


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    made = worlds.market(settings)
    settings.CARD_ENTRY = "checkout"
    settings.CHECKOUT_ORIGIN = made.out.provider.base
    return made


def type_card(page: Page, number: str = VISA) -> None:
    page.fill("#number", number)
    page.fill("#expiry", "12/34")
    page.fill("#cvc", "123")
    page.click("main button")


def go(page: Page, base: str, sale: str, world: worlds.World) -> list[str]:
    """To the provider's page by the one button; the hosts asked for on our pages till then."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(f"{base}/en/sales/{sale}")
    assert page.locator("#payment_method").count() == 0
    asked.pop(0)
    before = list(asked)
    page.click("button[value=checkout]")
    page.wait_for_url(f"{world.out.provider.base}/c/pay/**")
    return before


def test_a_sale_is_bought_by_typing_a_card_on_the_providers_page_and_settles(
    world: worlds.World, settings: Any
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with window(world, settings, way.buyer) as (page, base, told):
        asked = go(page, base, sale, world)
        assert {urlsplit(url).netloc for url in asked} == {urlsplit(base).netloc}
        type_card(page)
        page.wait_for_url(f"{base}/en/sales/{sale}")
        until_shown(page, "cooling-off before the handle moves")
    assert told == []
    assert states(sale) == ("paid", "cooling")
    test_outside.finish(way, sale)


def test_the_back_button_two_windows_a_declined_card_and_a_bank_that_asks(
    world: worlds.World, settings: Any
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with window(world, settings, way.buyer) as (page, base, _):
        go(page, base, sale, world)
        first = page.url
        page.go_back()
        page.reload()
        page.click("text=Go on at the provider")
        assert page.url == first
        page.click("text=Back to the market")
        assert page.url == f"{base}/en/sales/{sale}"
        assert page.get_by_text("The provider waits for your card").count() == 1
        other = page.context.new_page()
        other.goto(f"{base}/en/sales/{sale}")
        other.click("text=Go on at the provider")
        assert other.url == first
        type_card(other, DECLINED)
        assert other.get_by_role("alert").inner_text().startswith("The card was declined")
        type_card(other, ASKS)
        other.click("text=Yes, pay")
        other.click("text=Back to the market")
        other.wait_for_url(f"{base}/en/sales/{sale}")
        until_shown(other, "cooling-off before the handle moves")
        page.goto(first)  # the window that was left behind leads to the paid sale
        page.wait_for_url(f"{base}/en/sales/{sale}")
    assert taken(world, sale) == Payment.objects.get(sale_id=sale).amount_minor
    world.check(sale)


@pytest.mark.faults
def test_leaving_the_page_for_good_closes_it(world: worlds.World, settings: Any) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    with window(world, settings, way.buyer) as (page, base, _):
        go(page, base, sale, world)
        left = page.url
        page.goto(f"{base}/en/sales/{sale}")
        page.click("text=Pay in another way")
        until_shown(page, "The payment was not confirmed")
        assert page.locator("button[value=checkout]").count() == 1
        page.goto(left)
        assert page.get_by_role("alert").inner_text().startswith("This page has expired")
    assert states(sale) == ("cancelled", "funding")


# ---- the API and what pages may do


def ask(client: Client, member: Any, sale: str, key: str) -> Any:
    return client.post(
        f"/api/v1/sales/{sale}/checkout",
        content_type="application/json",
        headers={"Authorization": f"Bearer {make.token(member)}", "Idempotency-Key": key},
    )


def working(world: worlds.World, run: Any) -> Any:
    """Run while one job is done beside it, as soon as there is one."""

    def work() -> None:
        from django.db import connections

        worlds.until(lambda: Payment.objects.exists())
        world.drain()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return run()
    finally:
        thread.join()


def test_the_api_answers_the_pages_address_and_until_when_and_again_the_same(
    world: worlds.World, client: Client
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    told = working(world, lambda: ask(client, way.buyer, sale, "one"))
    assert told.status_code == 200, told.content
    assert told.json().keys() == {"url", "expires_at"}
    assert told.json()["url"].startswith(f"{world.out.provider.base}/c/pay/")
    for key in ("one", "two"):
        assert ask(client, way.buyer, sale, key).json() == told.json()
    type_there(told.json()["url"])
    world.drain(hurry=True)
    paid = ask(client, way.buyer, sale, "one")
    assert (paid.status_code, paid.json()["url"]) == (200, None)
    assert ask(client, way.buyer, sale, "three").json()["code"] == "in_progress"
    wrong = client.post(
        f"/api/v1/sales/{sale}/pay",
        '{"payment_method": "checkout"}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {make.token(way.buyer)}", "Idempotency-Key": "four"},
    )
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed")


def test_the_api_answers_202_while_the_provider_is_silent_and_402_if_it_says_no(
    world: worlds.World, client: Client
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    test_outside.plan(world, "checkout.sessions.create", "silent")
    told = working(world, lambda: ask(client, way.buyer, sale, "one"))
    assert (told.status_code, told.json()["url"]) == (202, None)
    payment = Payment.objects.get(sale_id=sale)
    payment.checkout_until = world.now()  # sooner than the provider allows
    payment.save()
    world.drain(hurry=True)
    told = ask(client, way.buyer, sale, "one")
    assert (told.status_code, told.json()["code"]) == (402, "payment_declined")


def form_action(answer: Any) -> str:
    policy = dict(
        part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";")
    )
    return policy["form-action"]


def test_the_sales_page_alone_may_lead_to_the_providers_exact_origin(
    world: worlds.World, settings: Any, client: Client
) -> None:
    from tests.flows.test_payout import browser as signed_in

    way = ways.trade(world, mail=False)
    window = signed_in(way.buyer)
    page = f"/en/sales/{way.agree()}"
    assert form_action(window.get(page)) == f"'self' {world.out.provider.base}"
    assert form_action(window.get("/en/")) == "'self'"
    settings.CARD_ENTRY = "methods"
    shown = window.get(page)
    assert form_action(shown) == "'self'"
    assert "payment_method" in shown.content.decode()
    assert "Enter a card at the provider" not in shown.content.decode()


def test_a_page_elsewhere_than_expected_is_linked_and_not_led_to(
    world: worlds.World, settings: Any
) -> None:
    from tests.flows.test_payout import browser as signed_in

    settings.CHECKOUT_ORIGIN = origins.STRIPE
    way = ways.trade(world, mail=False)
    sale = way.agree()
    window = signed_in(way.buyer)
    led = window.post(f"/en/sales/{sale}", {"do": "checkout", "key": "k" * 22})
    assert led["Location"] == f"/en/sales/{sale}/onward"
    world.drain()
    assert window.get(led["Location"])["Location"] == f"/en/sales/{sale}"
    assert world.out.provider.base in window.get(f"/en/sales/{sale}").content.decode()


def test_only_the_buyer_is_led_on_and_the_seller_to_the_sale(world: worlds.World) -> None:
    from tests.flows.test_payout import browser as signed_in

    way = ways.trade(world, mail=False)
    sale = way.agree()
    signed_in(way.buyer).post(f"/en/sales/{sale}", {"do": "checkout", "key": "k" * 22})
    world.drain()
    led = signed_in(way.buyer).get(f"/en/sales/{sale}/onward")["Location"]
    assert led.startswith(f"{world.out.provider.base}/c/pay/")
    assert signed_in(way.seller).get(f"/en/sales/{sale}/onward")["Location"] == f"/en/sales/{sale}"
    stranger, _, _ = world.member()
    assert signed_in(stranger).get(f"/en/sales/{sale}/onward").status_code == 404


@pytest.mark.parametrize(
    ("given", "api", "found"),
    [
        ("", "", "https://checkout.stripe.com"),
        ("", "https://api.stripe.com", "https://checkout.stripe.com"),
        ("", "http://127.0.0.1:8003", "http://127.0.0.1:8003"),
        ("https://pay.firm.example", "https://api.stripe.com", "https://pay.firm.example"),
        ("https://pay.firm.example/", "", "https://pay.firm.example"),
    ],
)
def test_the_origin_is_the_providers_unless_it_is_set(given: str, api: str, found: str) -> None:
    assert origins.checkout(given, api) == found


@pytest.mark.parametrize(
    "given", ["https://*.stripe.com", "checkout.stripe.com", "https://a.example/x", "https:"]
)
def test_anything_but_one_whole_origin_is_refused_at_start(given: str) -> None:
    with pytest.raises(Exception, match="one origin"):
        origins.checkout(given, "")


def test_the_answer_is_json_that_the_openapi_names(client: Client, world: worlds.World) -> None:
    told = json.loads(client.get("/api/v1/openapi.json").content)
    assert "post" in told["paths"]["/api/v1/sales/{id}/checkout"]
