"""A card entered on the provider's page for a deposit: taken while it waits, else released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from tests import make
from tests import world as worlds
from tests.demo import checkout as page
from tests.demo.checkout import ASKS, DECLINED
from tests.faults import points, test_outside
from tests.flows.purses import lies
from tests.flows.test_checkout import deliver, intents
from tests.flows.test_deposit import LIMITS, claim
from tests.flows.test_deposit import taken as take_back
from tests.flows.test_wallet import _compared as compared

from onym import ports
from onym.core.errors import AlreadyClosed, AmountTooLarge, Malformed
from onym.flows import deposit, reconcile
from onym.ports.screening import TierFile
from onym.queries import checkout as pages
from onym.store import clock
from onym.store.models import Deposit, Entry, Reconciliation


@pytest.fixture
def world(database: str, settings: Any) -> Iterator[worlds.World]:
    settings.WALLET, settings.CARD_ENTRY = True, "checkout"
    made = worlds.market(settings)
    made.out.own_funds()
    yield made
    ports.clear()


@pytest.fixture
def member(world: worlds.World) -> Any:
    return world.member(mail="filler@people.example", language="fr")[0]


def begin(member: Any, whole: float = 250) -> Deposit:
    return deposit.begin(member=member.id, amount=make.usd(whole), method="checkout")


def led(world: worlds.World, member: Any) -> tuple[Deposit, str]:
    """The page that the member is led to, once the provider has answered."""
    made = begin(member)
    world.drain()
    return made, pages.address_of_deposit(made.id, member=member.id)


def state(made: Deposit) -> str:
    made.refresh_from_db()
    return made.state


def is_in(world: worlds.World, made: Deposit, member: Any) -> None:
    """All of it came in, once, here and there."""
    assert (state(made), lies(member)) == ("paid", (25_000, 0))
    assert world.out.taken(made.id) == {"charge": 25_000}
    assert intents(world, made.id) == ["succeeded"]
    assert Entry.objects.filter(kind="deposited", ref=made.id).count() == 1
    world.check()


def is_out(world: worlds.World, made: Deposit, member: Any, *, released: bool = False) -> None:
    """None of it did, and none of it ever will."""
    assert (state(made), lies(member)) == ("cancelled", (0, 0))
    assert sum(world.out.taken(made.id).values()) == 0
    assert intents(world, made.id) == (["canceled"] if released else [])
    world.check()


# ---- there and back


def test_a_card_entered_at_the_provider_lies_in_the_wallet_on_the_way_back(
    world: worlds.World, member: Any
) -> None:
    made, url = led(world, member)
    assert state(made) == "action"
    shown = page.text(requests.get(url, timeout=10))
    for words in ("250.00 USD", "filler@people.example", "Numéro de carte", "Portefeuille"):
        assert words in shown
    assert page.type_card(url).headers["Location"].endswith("/wallet/returned")
    assert world.out.taken(made.id) == {}
    deposit.look_again(by=member.id)
    world.drain()
    is_in(world, made, member)


@pytest.mark.parametrize("told", ["webhook", "nobody"])
def test_a_browser_closed_before_it_came_back_has_put_it_in_all_the_same(
    world: worlds.World, member: Any, told: str, client: Any
) -> None:
    made, url = led(world, member)
    page.type_card(url)
    if told == "webhook":
        assert deliver(world, client, "checkout.session.completed") == [200]
        world.drain()
    else:
        world.drain(hurry=True)
    is_in(world, made, member)


def test_a_declined_card_a_bank_that_asks_and_the_button_pressed_twice_put_it_in_once(
    world: worlds.World, member: Any
) -> None:
    made, url = led(world, member)
    page.type_card(url, DECLINED)
    world.drain(hurry=True)
    assert state(made) == "action"
    page.say_yes(page.type_card(url, ASKS))
    assert page.type_card(url).status_code == 303
    world.drain(hurry=True)
    is_in(world, made, member)


def test_a_member_who_speaks_otherwise_meanwhile_keeps_the_page(
    world: worlds.World, member: Any
) -> None:
    made, url = led(world, member)
    member.language = "ar"
    member.save()
    world.drain(hurry=True)
    assert state(made) == "action"
    page.type_card(url)
    world.drain(hurry=True)
    is_in(world, made, member)


# ---- who does not pay, or too late


def test_a_page_left_alone_is_closed_within_a_day(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    assert made.gives_up_at - made.made_at <= timedelta(hours=23)
    world.pass_time(days=1)
    assert page.type_card(url).status_code == 410
    is_out(world, made, member)


def test_an_expired_page_is_told_of_and_nothing_is_waited_for(
    world: worlds.World, member: Any, client: Any
) -> None:
    made, url = led(world, member)
    world.step(23.5 * 3600)
    assert page.type_card(url).status_code == 410
    assert deliver(world, client, "checkout.session.expired") == [200]
    world.drain()
    is_out(world, made, member)
    assert made.reason == "checkout_expired"


def test_who_gives_it_up_finds_the_page_closed(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    deposit.give_up(deposit_id=made.id, by=member.id)
    world.drain()
    assert page.type_card(url).status_code == 410
    is_out(world, made, member)
    with pytest.raises(AlreadyClosed):
        deposit.give_up(deposit_id=made.id, by=member.id)


def test_who_paid_there_and_then_gives_it_up_has_paid(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    page.type_card(url)
    deposit.give_up(deposit_id=made.id, by=member.id)
    world.drain()
    is_in(world, made, member)


def stop_waiting(made: Deposit) -> None:
    """It is given up here while its page is still open there, and nobody asks about it again."""
    Deposit.objects.filter(pk=made.pk).update(state="cancelled")
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs where status = 'todo'")


def test_a_page_paid_on_after_its_deposit_was_given_up_is_released(
    world: worlds.World, member: Any, client: Any
) -> None:
    made, url = led(world, member)
    stop_waiting(made)
    page.type_card(url)
    assert intents(world, made.id) == ["requires_capture"]
    deliver(world, client, "checkout.session.completed")
    world.drain(hurry=True)
    is_out(world, made, member, released=True)


def test_a_deposit_that_ends_while_its_payment_is_looked_at_is_released_not_captured(
    world: worlds.World, member: Any
) -> None:
    from onym.jobs import checkout

    made, url = led(world, member)
    asked = pages.of_deposit(made.id, takes=lambda: deposit.take(deposit_id=made.id))
    page.type_card(url)
    stop_waiting(made)
    assert checkout.ask(asked).state == "cancelled"
    is_out(world, made, member, released=True)


def test_a_forgotten_page_is_found_by_the_comparison_and_released(
    world: worlds.World, member: Any
) -> None:
    made, url = led(world, member)
    stop_waiting(made)
    page.type_card(url)
    assert reconcile.order(namespace="demo")
    world.drain(hurry=True)
    found = Reconciliation.objects.get().differences
    assert [one["what"] for one in found if one["sale"] == made.id] == ["not_booked"]
    is_out(world, made, member, released=True)


# ---- answers that do not come


MORE = [pytest.param(one, marks=pytest.mark.faults) for one in ("error", "error_kept", "silent")]


@pytest.mark.parametrize("fault", ["lost", "error_after", *MORE])
def test_a_page_whose_address_was_lost_is_found_by_asking_again(
    world: worlds.World, member: Any, fault: str
) -> None:
    test_outside.plan(world, "checkout.sessions.create", fault)
    made, url = led(world, member)
    assert (state(made), url) == ("unknown", "")
    world.drain(hurry=True)
    assert state(made) == "action"
    page.type_card(pages.address_of_deposit(made.id, member=member.id))
    world.drain(hurry=True)
    is_in(world, made, member)


@pytest.mark.parametrize("fault", ["lost", *MORE])
def test_a_capture_without_an_answer_is_asked_about_and_happens_once(
    world: worlds.World, member: Any, fault: str
) -> None:
    made, url = led(world, member)
    test_outside.plan(world, "payment_intents.capture", fault)
    page.type_card(url)
    deposit.look_again(by=member.id)
    world.drain()
    assert state(made) == "unknown"
    world.drain(hurry=True)
    is_in(world, made, member)


def test_silence_takes_nothing_back_from_a_member_on_the_page(
    world: worlds.World, member: Any
) -> None:
    made, url = led(world, member)
    test_outside.plan(world, "*", "silent")
    deposit.look_again(by=member.id)
    world.drain()
    assert state(made) == "action"
    assert pages.address_of_deposit(made.id, member=member.id) == url


def test_a_page_that_nobody_was_led_to_is_given_up(world: worlds.World, member: Any) -> None:
    test_outside.plan(world, "checkout.sessions.create", "silent", times=500)
    made, _ = led(world, member)
    world.step(25 * 3600)
    world.out.calm()
    world.drain(hurry=True)
    is_out(world, made, member)


KILLED = [
    ("check_out", "after"),
    ("capture", "after"),
    *(pytest.param(call, "before", marks=pytest.mark.faults) for call in ("check_out", "capture")),
]


@pytest.mark.parametrize(("call", "when"), KILLED)
def test_killed_around_the_call_there_is_one_page_and_it_is_put_in_once(
    world: worlds.World, member: Any, call: str, when: str
) -> None:
    """kill -9 of the worker before the provider was asked, or when its answer is lost with it."""
    made = begin(member)
    if call == "capture":
        world.drain()
        page.type_card(pages.address_of_deposit(made.id, member=member.id))
        deposit.look_again(by=member.id)

    def work() -> None:
        points.Points(1, only=f"call {when} payments.{call}").watch(world)
        world.drain()

    assert points.in_a_child(work) == -9
    world.install()
    assert world.restart() == 1
    world.drain(hurry=True)
    if call == "check_out":
        page.type_card(pages.address_of_deposit(made.id, member=member.id))
        world.drain(hurry=True)
    is_in(world, made, member)


# ---- what holds for every deposit


def test_the_limits_are_those_of_a_card(world: worlds.World, member: Any) -> None:
    make.document(world.place, kind="limits", name="house", text=LIMITS)
    refused = {}
    for whole in (600, 350):
        with pytest.raises(AmountTooLarge) as found:
            begin(member, whole)
        refused[whole] = found.value.facts["limit"]
    made = begin(member, 300)
    world.drain()
    page.type_card(pages.address_of_deposit(made.id, member=member.id))
    world.drain(hurry=True)
    with pytest.raises(AmountTooLarge) as found:
        begin(member, 101)
    refused[101] = found.value.facts["limit"]
    assert refused == {600: "card", 350: "deposit", 101: "balance"}


def test_a_page_that_was_left_blocks_nothing_and_what_does_not_fit_is_released(
    world: worlds.World, member: Any
) -> None:
    make.document(world.place, kind="limits", name="house", text=LIMITS)
    pages_ = [led(world, member) for _ in range(2)]  # 250 each, and 400 may lie there
    deposit.begin(member=member.id, amount=make.usd(150), method="checkout")
    for _, url in reversed(pages_):
        page.type_card(url)
        world.drain(hurry=True)
    assert [state(made) for made, _ in pages_] == ["cancelled", "paid"]
    assert lies(member) == (25_000, 0)
    assert intents(world, pages_[0][0].id) == ["canceled"]
    world.check()


def test_of_two_that_are_agreed_to_at_once_only_what_fits_is_taken(
    world: worlds.World, member: Any
) -> None:
    make.document(world.place, kind="limits", name="house", text=LIMITS)
    both = [begin(member), begin(member)]
    gate, found = threading.Barrier(2), []

    def take(made: Deposit) -> None:
        gate.wait()
        found.append(deposit.take(deposit_id=made.id))
        connection.close()

    threads = [threading.Thread(target=take, args=(made,)) for made in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, True]
    with pytest.raises(AmountTooLarge):  # what is taken counts, though it is not there yet
        begin(member, 151)


def test_while_the_tiers_are_stale_nothing_is_taken_and_nothing_is_lost(
    world: worlds.World, member: Any, tmp_path: Path
) -> None:
    made, url = led(world, member)
    make.document(world.place, kind="limits", name="house", text=LIMITS)
    file = tmp_path / "tiers.csv"
    ports.install(identities={"demo": TierFile(file, 7)})
    page.type_card(url)
    world.drain(hurry=True)
    assert (state(made), intents(world, made.id)) == ("action", ["requires_capture"])
    file.write_text(f"as_of,{clock.machine():%Y-%m-%d}\n*,new\n")
    world.drain(hurry=True)
    is_in(world, made, member)


def test_a_bank_takes_it_back_out_of_the_wallet(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    page.type_card(url)
    world.drain(hurry=True)
    state(made)
    take_back(world, made)
    assert (lies(member), claim()) == ((0, 0), 0)
    world.check()


def test_the_providers_list_is_matched_with_it(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    page.type_card(url)
    before = compared(world)
    assert (before.matched, before.differences) == (0, ())
    world.drain(hurry=True)
    report = compared(world)
    assert (state(made), report.matched, report.differences) == ("paid", 1, ())


def test_the_address_of_the_page_is_its_members_alone(world: worlds.World, member: Any) -> None:
    made, url = led(world, member)
    assert url.startswith(world.out.provider.base)
    other, _, _ = world.member()
    assert pages.address_of_deposit(made.id, member=other.id) == ""


def test_a_market_may_do_without_the_providers_page(member: Any, settings: Any) -> None:
    settings.CARD_ENTRY = "methods"
    with pytest.raises(Malformed):
        begin(member)
    assert not Deposit.objects.exists()
