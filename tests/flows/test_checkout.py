"""A card entered on the provider's page: taken for a sale that waits, released for any other."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import requests
import stripe
from django.db import connection
from tests import make
from tests import world as worlds
from tests.demo import checkout as page
from tests.demo.checkout import ASKS, DECLINED
from tests.faults import points, test_outside, ways
from tests.faults.ways import GOOD, Way
from tests.flows.test_inbox import post

from onym.core import checkout as core
from onym.core.errors import AlreadyClosed, Expired, InProgress, Malformed, NotAllowed
from onym.flows import checkout, payments, reconcile
from onym.flows import sale as sales
from onym.queries import checkout as pages
from onym.queries import sale as queries
from onym.store.models import Payment, Reconciliation, Sale


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.CARD_ENTRY = "both"
    return worlds.market(settings)


@pytest.fixture
def way(world: worlds.World) -> Way:
    return ways.trade(world, mail=False)


@pytest.fixture
def sale(way: Way) -> str:
    return way.agree()


def led(way: Way, sale: str) -> str:
    """The page that the buyer is led to, once the provider has answered."""
    payment = checkout.begin(sale_id=sale, by=way.buyer.id)
    way.world.drain()
    return pages.opened(payment.id).url


def charge(sale: str) -> Payment:
    return Payment.objects.filter(sale_id=sale, kind="charge").latest("id")


def states(sale: str) -> tuple[str, str]:
    return charge(sale).state, str(Sale.objects.get(pk=sale).state)


def taken(world: worlds.World, sale: str) -> int:
    return sum(world.out.taken(sale).values())


def sdk(world: worlds.World) -> Any:
    return stripe.StripeClient(
        "sk_test_onym",
        base_addresses={"api": world.out.provider.base},
        http_client=stripe.RequestsClient(timeout=5),
    ).v1


def intents(world: worlds.World, sale: str) -> list[str]:
    """How every payment of the sale stands at the provider, by their own list."""
    rows = sdk(world).payment_intents.list({"limit": 100}).auto_paging_iter()
    return sorted(one.status for one in rows if one.metadata["sale_id"] == sale)


# ---- there and back


def test_a_card_entered_at_the_provider_buys_and_the_sale_settles(
    world: worlds.World, way: Way, sale: str
) -> None:
    assert page.type_card(led(way, sale)).headers["Location"].endswith(f"/sales/{sale}/returned")
    assert taken(world, sale) == 0
    payments.look_again(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert states(sale) == ("paid", "cooling")
    assert taken(world, sale) == charge(sale).amount_minor
    test_outside.finish(way, sale)


def test_the_page_says_what_is_bought_by_whom_and_in_whose_language(
    world: worlds.World, way: Way
) -> None:
    way.buyer, _, _ = world.member(mail="buyer@people.example", language="fr")
    sale = way.agree()
    shown = page.text(requests.get(led(way, sale), timeout=10))
    assert f"@{way.handle}" in shown
    assert "buyer@people.example" in shown
    assert "Numéro de carte" in shown
    assert "630.00 USD" in shown


def test_two_windows_and_the_back_button_lead_to_one_and_the_same_page(
    world: worlds.World, way: Way, sale: str
) -> None:
    first = led(way, sale)
    assert led(way, sale) == first
    assert Payment.objects.filter(sale_id=sale).count() == 1
    page.type_card(first)
    assert page.type_card(first).status_code == 303  # the button pressed twice
    world.drain(hurry=True)
    assert taken(world, sale) == charge(sale).amount_minor


@pytest.mark.parametrize("told", ["webhook", "nobody"])
def test_a_browser_closed_before_it_came_back_has_paid_all_the_same(
    world: worlds.World, way: Way, sale: str, told: str, client: Any
) -> None:
    page.type_card(led(way, sale))
    if told == "webhook":
        assert deliver(world, client, "checkout.session.completed") == [200]
        world.drain()
    else:
        world.drain(hurry=True)
    assert states(sale) == ("paid", "cooling")
    world.drain(hurry=True)
    assert intents(world, sale) == ["succeeded"]


def deliver(world: worlds.World, client: Any, kind: str) -> list[int]:
    """Sign and deliver every event of a kind, as the provider does."""
    found = requests.get(
        f"{world.out.provider.base}/v1/events",
        params={"type": kind, "limit": 1},
        auth=("sk_test_onym", ""),
        timeout=10,
    ).json()["data"]
    return [post(client, json.dumps(event).encode()) for event in found]


def test_a_declined_card_and_then_a_good_one_on_the_same_page_buy(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    page.type_card(url, DECLINED)
    world.drain(hurry=True)
    assert states(sale) == ("action", "funding")
    page.type_card(url)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


def test_a_bank_that_asks_does_so_at_the_provider(world: worlds.World, way: Way, sale: str) -> None:
    page.say_yes(page.type_card(led(way, sale), ASKS))
    world.drain(hurry=True)
    assert states(sale) == ("paid", "cooling")


# ---- who does not pay, or not there


def test_a_page_left_alone_is_closed_when_the_time_to_pay_is_over(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    world.pass_time(days=3.1)
    assert states(sale) == ("cancelled", "expired")
    assert page.type_card(url).status_code == 410
    world.check(sale)


def test_an_expired_page_is_followed_by_a_fresh_one(
    world: worlds.World, way: Way, sale: str, client: Any
) -> None:
    first = led(way, sale)
    world.step(23.5 * 3600)
    assert page.type_card(first).status_code == 410
    deliver(world, client, "checkout.session.expired")
    world.drain()
    assert states(sale) == ("cancelled", "funding")
    second = led(way, sale)
    assert second != first
    page.type_card(second)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


def test_the_buyer_may_leave_the_page_and_pay_otherwise(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    with pytest.raises(InProgress):
        payments.pay(sale_id=sale, by=way.buyer.id, method=GOOD)
    payments.pay_otherwise(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert states(sale) == ("cancelled", "funding")
    assert page.type_card(url).status_code == 410
    way.pay(sale)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


def test_a_buyer_who_paid_there_and_then_wants_to_pay_otherwise_has_paid(
    world: worlds.World, way: Way, sale: str
) -> None:
    page.type_card(led(way, sale))
    payments.pay_otherwise(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert states(sale) == ("paid", "cooling")


def test_an_open_page_holds_up_the_cancelling_of_its_sale(way: Way, sale: str) -> None:
    led(way, sale)
    with pytest.raises(InProgress):
        sales.cancel(sale_id=sale, by=way.buyer.id)


# ---- a page that is paid on when nobody may be charged any more


def end(sale: str) -> None:
    """The sale ends under its buyer's feet, as when the handle's holder comes back."""
    from django.db import transaction

    from onym.store import clock, rowlocks

    with transaction.atomic():
        row = rowlocks.sale(sale)
        now = clock.now()
        sales.yield_to_holder(row=row.handle, now=now)


def test_a_page_paid_on_after_its_sale_has_ended_takes_nothing(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    end(sale)
    page.type_card(url)
    world.drain(hurry=True)
    assert states(sale) == ("cancelled", "cancelled")
    assert (intents(world, sale), taken(world, sale)) == (["canceled"], 0)
    world.check(sale)


def test_the_page_of_a_sale_that_has_ended_is_closed(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    end(sale)
    world.drain(hurry=True)
    assert page.type_card(url).status_code == 410
    assert states(sale) == ("cancelled", "cancelled")


def forget(sale: str) -> None:
    """As a restored database, which knows neither the payment nor the job that asks about it."""
    Payment.objects.filter(sale_id=sale).delete()
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs where status = 'todo'")


def test_of_two_pages_for_one_sale_at_most_one_is_captured(
    world: worlds.World, way: Way, sale: str, client: Any
) -> None:
    """As after a restore: the first page is forgotten here, and still open there."""
    first = led(way, sale)
    forget(sale)
    second = led(way, sale)
    assert first != second
    page.type_card(second)
    world.drain(hurry=True)
    page.type_card(first)
    deliver(world, client, "checkout.session.completed")
    world.drain(hurry=True)
    assert intents(world, sale) == ["canceled", "succeeded"]
    assert taken(world, sale) == charge(sale).amount_minor
    test_outside.finish(way, sale)


def test_the_forgotten_page_paid_first_waits_for_the_known_one_and_is_released(
    world: worlds.World, way: Way, sale: str, client: Any
) -> None:
    first = led(way, sale)
    forget(sale)
    second = led(way, sale)
    page.type_card(first)
    deliver(world, client, "checkout.session.completed")
    world.drain()
    assert intents(world, sale) == ["requires_capture"]
    page.type_card(second)
    world.drain(hurry=True)
    assert intents(world, sale) == ["canceled", "succeeded"]
    assert taken(world, sale) == charge(sale).amount_minor


def compared(world: worlds.World, sale: str) -> list[tuple[str, str]]:
    """What today's comparison with the provider found of this sale, and did about it."""
    Reconciliation.objects.all().delete()
    assert reconcile.order(namespace="demo")
    world.drain(hurry=True)
    found = Reconciliation.objects.get().differences
    return [(one["what"], one["kind"]) for one in found if one["sale"] == sale]


def test_a_forgotten_page_that_nobody_told_of_is_found_by_the_comparison_and_released(
    world: worlds.World, way: Way, sale: str
) -> None:
    first = led(way, sale)
    forget(sale)
    page.type_card(led(way, sale))
    page.type_card(first)
    assert compared(world, sale) == []  # one of them is still being asked about
    assert compared(world, sale) == [("not_booked", "authorised")]
    assert intents(world, sale) == ["canceled", "succeeded"]
    assert compared(world, sale) == []
    assert taken(world, sale) == charge(sale).amount_minor
    test_outside.finish(way, sale)


def test_what_was_agreed_to_for_a_sale_that_nobody_knows_is_shown_until_it_lapses(
    world: worlds.World, way: Way, sale: str
) -> None:
    page.type_card(led(way, sale))
    forget(sale)
    Sale.objects.filter(pk=sale).update(id="sal_another")
    for _ in range(2):
        assert compared(world, sale) == [("not_booked", "authorised")]
    assert intents(world, sale) == ["requires_capture"]


# ---- answers that do not come


MORE = [pytest.param(one, marks=pytest.mark.faults) for one in ("error", "error_kept", "silent")]


@pytest.mark.parametrize("fault", ["lost", "error_after", *MORE])
def test_a_page_whose_address_was_lost_is_found_by_asking_again(
    world: worlds.World, way: Way, sale: str, fault: str
) -> None:
    test_outside.plan(world, "checkout.sessions.create", fault)
    assert led(way, sale) == ""
    assert states(sale) == ("unknown", "funding_unknown")
    world.drain(hurry=True)
    assert states(sale) == ("action", "funding")
    page.type_card(pages.opened(charge(sale).id).url)
    world.drain(hurry=True)
    test_outside.finish(way, sale)


@pytest.mark.parametrize("fault", ["lost", *MORE])
def test_a_capture_without_an_answer_is_asked_about_and_happens_once(
    world: worlds.World, way: Way, sale: str, fault: str
) -> None:
    url = led(way, sale)
    test_outside.plan(world, "payment_intents.capture", fault)
    page.type_card(url)
    payments.look_again(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert states(sale)[0] == "unknown"
    with pytest.raises(AlreadyClosed):
        sales.cancel(sale_id=sale, by=way.buyer.id)
    world.drain(hurry=True)
    assert states(sale) == ("paid", "cooling")
    assert intents(world, sale) == ["succeeded"]
    assert taken(world, sale) == charge(sale).amount_minor


def test_silence_takes_nothing_back_from_a_buyer_on_the_page(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    test_outside.plan(world, "*", "silent")
    payments.look_again(sale_id=sale, by=way.buyer.id)
    world.drain()
    assert states(sale) == ("action", "funding")
    assert pages.opened(charge(sale).id).url == url


def test_a_day_later_a_page_that_nobody_was_led_to_is_given_up(
    world: worlds.World, way: Way, sale: str
) -> None:
    test_outside.plan(world, "checkout.sessions.create", "silent", times=500)
    led(way, sale)
    world.step(25 * 3600)
    world.out.calm()
    world.drain(hurry=True)
    assert states(sale) == ("cancelled", "funding")


KILLED = [
    ("check_out", "after"),
    *(
        pytest.param(call, when, marks=pytest.mark.faults)
        for call, when in (("check_out", "before"), ("capture", "before"), ("capture", "after"))
    ),
]


@pytest.mark.parametrize(("call", "when"), KILLED)
def test_killed_around_the_call_the_sale_has_one_page_and_is_paid_once(
    world: worlds.World, way: Way, sale: str, call: str, when: str
) -> None:
    """kill -9 of the worker before the provider was asked, or when its answer is lost with it."""
    payment = checkout.begin(sale_id=sale, by=way.buyer.id)
    if call == "capture":
        world.drain()
        page.type_card(pages.opened(payment.id).url)
        payments.look_again(sale_id=sale, by=way.buyer.id)

    def work() -> None:
        counted = points.Points(1, only=f"call {when} payments.{call}")
        counted.watch(world)
        world.drain()

    assert points.in_a_child(work) == -9
    world.install()
    assert world.restart() == 1
    world.drain(hurry=True)
    if call == "check_out":
        page.type_card(pages.opened(payment.id).url)
        world.drain(hurry=True)
    assert intents(world, sale) == ["succeeded"]
    assert taken(world, sale) == charge(sale).amount_minor
    test_outside.finish(way, sale)


# ---- who may, and until when


def test_only_the_buyer_is_led_there_and_only_while_the_sale_waits(
    world: worlds.World, way: Way, sale: str
) -> None:
    with pytest.raises(NotAllowed):
        checkout.begin(sale_id=sale, by=way.seller.id)
    led(way, sale)
    with pytest.raises(NotAllowed):
        checkout.begin(sale_id=sale, by=way.seller.id)
    page.type_card(pages.opened(charge(sale).id).url)
    world.drain(hurry=True)
    with pytest.raises(InProgress):
        checkout.begin(sale_id=sale, by=way.buyer.id)


def test_the_page_is_no_payment_method(way: Way, sale: str) -> None:
    with pytest.raises(Malformed):
        way.pay(sale, core.METHOD)
    assert not Payment.objects.filter(sale_id=sale).exists()


def test_after_the_time_to_pay_nobody_is_led_there(
    world: worlds.World, way: Way, sale: str
) -> None:
    world.step(3.1 * 86_400)
    with pytest.raises(Expired):
        checkout.begin(sale_id=sale, by=way.buyer.id)
    end(sale)
    with pytest.raises(AlreadyClosed):
        checkout.begin(sale_id=sale, by=way.buyer.id)


def test_a_market_may_do_without_the_providers_page(way: Way, sale: str, settings: Any) -> None:
    settings.CARD_ENTRY = "methods"
    with pytest.raises(Malformed):
        checkout.begin(sale_id=sale, by=way.buyer.id)
    assert not pages.offered()


def test_a_page_closes_with_the_time_to_pay_as_far_as_the_provider_allows() -> None:
    now = make.LONG_AGO
    hour = timedelta(hours=1)
    for left, open_for in ((0.1 * hour, hour), (5 * hour, 5 * hour), (72 * hour, 23 * hour)):
        assert core.until(funding_until=now + left, now=now) == now + open_for


def test_the_address_of_the_page_is_the_buyers_alone(
    world: worlds.World, way: Way, sale: str
) -> None:
    url = led(way, sale)
    assert queries.sale(sale, viewer=way.buyer.id)["action_url"] == url
    assert queries.sale(sale, viewer=way.seller.id)["action_url"] is None
