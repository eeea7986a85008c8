"""The outside is silent, loses answers, lies, tells old news. Each sale ends right, to the cent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import requests
from tests import world as worlds
from tests.demo.servers import Program
from tests.faults import ways
from tests.faults.ways import GOOD, Way

from onym.store.models import Entry, Handle, Payment, Sale, Transfer
from onym_demo.payments import webhooks


@pytest.fixture
def world(database: str, settings: Any) -> Iterator[worlds.World]:
    made = worlds.market(settings)
    yield made
    made.out.calm()


def plan(world: worlds.World, verb: str, kind: str, **wanted: object) -> None:
    answer = world.out.provider.pull("/demo/faults", verb=verb, kind=kind, **wanted)
    assert answer.ok, answer.text


def state(sale: str) -> str:
    return str(Sale.objects.get(pk=sale).state)


def settles_down(world: worlds.World, sale: str, *, seconds: float = 8.0) -> str:
    """Work until nothing is unknown any more; the outside takes time to make up its mind."""
    end = time.monotonic() + seconds
    world.drain(hurry=True)
    while state(sale).endswith("unknown") and time.monotonic() < end:
        time.sleep(0.05)
        world.drain(hurry=True)
    return state(sale)


def impatient(world: worlds.World) -> None:
    """Ports that wait 0.4 s for an answer, so that a slow one is a lost one."""
    world.install(payments=world.out.payments(0.4), platform=world.out.platform(0.4))


def finish(way: Way, sale: str) -> None:
    """On from money in escrow: deliver, accept, pay out, look at everything."""
    way.world.pass_time(days=1.1)
    assert state(sale) == "inspection"
    way.accept(sale)
    way.world.pass_time(days=3.1)
    assert state(sale) == "settled"
    assert way.world.out.taken(sale) == {
        "charge": Sale.objects.get(pk=sale).gross_minor,
        "transfer": -way.price.minor,
    }
    way.world.check(sale)


# ---- the provider takes the money or does not, and says so late, wrongly or never

CARDS: list[tuple[str, str]] = [
    ("pm_onym_lostAnswer", "paid"),
    ("pm_onym_paidThenServerError", "paid"),
    ("pm_onym_unknownThenPaid", "paid"),
    ("pm_onym_processing", "paid"),
    ("pm_onym_unknownThenDeclined", "declined"),
    ("pm_onym_processingThenDeclined", "declined"),
    ("pm_card_visa_chargeDeclined", "declined"),
]


@pytest.mark.parametrize(("card", "end"), CARDS)
def test_whatever_the_provider_does_first_the_charge_ends_as_it_says_last(
    world: worlds.World, card: str, end: str
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale, card)
    settles_down(world, sale)
    charge = Payment.objects.get(sale_id=sale, kind="charge")
    assert charge.state == end
    if end == "paid":
        assert state(sale) == "cooling"
        finish(way, sale)
        return
    assert state(sale) == "funding"
    assert sum(world.out.taken(sale).values()) == 0
    way.turn = "-again"
    way.pay(sale, GOOD)
    settles_down(world, sale)
    finish(way, sale)


NEVER: list[tuple[str, str]] = [
    ("pm_onym_lostRequest", "expired"),
    ("pm_onym_serverError", "expired"),
    ("pm_onym_unknownForEver", "funding_unknown"),
]


@pytest.mark.parametrize(("card", "then"), NEVER)
def test_a_provider_that_never_says_is_given_up_at_the_deadline_and_no_money_is_lost(
    world: worlds.World, card: str, then: str
) -> None:
    """What was never confirmed can be called off; what is being processed only they can end."""
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale, card)
    settles_down(world, sale, seconds=0.2)
    assert state(sale) == "funding_unknown"
    world.pass_time(days=2.9)
    assert state(sale) == "funding_unknown"
    world.pass_time(days=0.2)
    assert state(sale) == then
    if then == "funding_unknown":
        intent = Payment.objects.get(sale_id=sale).provider_id
        assert world.out.provider.pull(f"/demo/intents/{intent}/settle", outcome="no").ok
        settles_down(world, sale)
        world.pass_time(days=0.1)
    assert state(sale) == "expired"
    assert sum(world.out.taken(sale).values()) == 0
    world.check(sale)


def test_money_that_arrives_after_the_deadline_still_buys_while_it_was_asked_about(
    world: worlds.World,
) -> None:
    """Ordered in time, answered late: the sale waited, so it is funded and not refunded."""
    way = ways.trade(world, mail=False)
    sale = way.agree()
    plan(world, "*", "silent", times=500)
    way.pay(sale)
    settles_down(world, sale, seconds=0.2)
    world.pass_time(days=3.2)
    assert state(sale) == "funding_unknown"
    world.out.calm()
    settles_down(world, sale)
    assert state(sale) in ("cooling", "expired")
    world.pass_time(days=12)
    world.check(sale)
    taken = sum(world.out.taken(sale).values())
    row = Sale.objects.get(pk=sale)
    assert (row.state, taken) in {("settled", row.commission_minor), ("expired", 0)}


FAULTS = ["lost", "silent", "error", "error_after", "error_kept", "rate_limit", "late", "slow"]


def forgetting(world: worlds.World, kind: str) -> None:
    """A failure that the provider keeps under its key is repeated until it forgets the key."""
    if kind in ("error_kept", "error_after"):
        world.drain(hurry=True)
        assert requests.delete(f"{world.out.provider.base}/demo/keys", timeout=10).ok


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("verb", ["payment_intents.create", "payment_intents.confirm"])
def test_a_fault_around_the_charge_takes_the_money_once(
    world: worlds.World, verb: str, kind: str
) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    impatient(world)
    plan(world, verb, kind, seconds=0.8)
    way.pay(sale)
    forgetting(world, kind)
    settles_down(world, sale)
    world.install()
    if state(sale) == "funding":  # the provider remembers its own failure and says no for ever
        assert Payment.objects.get(sale_id=sale).state == "declined"
        assert sum(world.out.taken(sale).values()) == 0
        return
    assert state(sale) == "cooling"
    assert world.out.taken(sale) == {"charge": 63_000}
    world.check(sale)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_around_the_refund_gives_the_money_back_once(
    world: worlds.World, kind: str
) -> None:
    way = ways.cancelled(world)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    impatient(world)
    plan(world, "refunds.create", kind, seconds=0.8)
    way.cancel(sale)
    forgetting(world, kind)
    until_state(world, sale, "refunded")
    assert world.out.taken(sale) == {"charge": 63_000, "refund": -63_000}
    world.check(sale)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_around_the_payout_pays_the_seller_once(world: worlds.World, kind: str) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale)
    world.pass_time(days=1.1)
    way.accept(sale)
    impatient(world)
    plan(world, "transfers.create", kind, seconds=0.8)
    world.pass_time(days=3.1)
    forgetting(world, kind)
    end = time.monotonic() + 8
    while Entry.objects.filter(kind="paid_out").count() == 0 and time.monotonic() < end:
        time.sleep(0.05)
        world.drain(hurry=True)
    assert world.out.taken(sale) == {"charge": 63_000, "transfer": -60_000}
    world.check(sale)


def until_state(world: worlds.World, sale: str, wanted: str, seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    world.drain(hurry=True)
    while state(sale) != wanted and time.monotonic() < end:
        time.sleep(0.05)
        world.drain(hurry=True)
    assert state(sale) == wanted


# ---- the platform


def cooled(world: worlds.World) -> tuple[Way, str]:
    """A trade that is paid, one step before its delivery."""
    way = ways.trade(world, price=400, mail=False)
    return way, way.agree()


MOVES: list[tuple[str, str, int]] = [
    ("cut_before", "move", 1),
    ("cut_before", "move", 3),
    ("cut_after", "move", 1),
    ("cut_after", "move", 2),
    ("error", "move", 2),
    ("error_after", "move", 2),
    ("delay", "move", 1),
    ("delay_after", "move", 1),
    ("cut_before", "handle", 2),
    ("error", "handle", 2),
    ("error", "account", 1),
    ("delay", "handle", 1),
]


@pytest.mark.parametrize(("kind", "on", "times"), MOVES)
def test_whatever_happens_to_the_move_the_buyer_holds_the_handle_once_it_is_settled(
    world: worlds.World, kind: str, on: str, times: int
) -> None:
    way, sale = cooled(world)
    impatient(world)
    world.out.plaza.arm(kind, on=on, times=times, seconds=0.8)
    way.pay(sale)
    until_state(world, sale, "inspection")
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).buyer_account_id
    world.install()
    way.accept(sale)
    world.pass_time(days=1.1)
    assert world.out.taken(sale) == {"charge": 42_000, "transfer": -40_000}
    world.check(sale)


def test_a_platform_that_says_moved_and_did_not_gets_no_money_released(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    world.out.plaza.arm("lie", on="move")
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) == "delivering"
    assert Transfer.objects.get().state == "done"
    assert world.out.taken(sale) == {"charge": 42_000}
    world.pass_time(days=1.1)
    assert state(sale) == "refunded"
    assert world.out.taken(sale) == {"charge": 42_000, "refund": -42_000}
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).seller_account_id
    world.check(sale)


def test_a_platform_that_shows_old_news_delays_the_delivery_and_ends_it_well(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    world.out.plaza.arm("stale_reads")
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) == "delivering"
    assert Transfer.objects.get().state == "done"
    world.out.calm()
    until_state(world, sale, "inspection")
    world.check(sale)


def test_a_move_whose_answer_was_lost_is_asked_for_by_its_own_name_while_reads_are_old(
    world: worlds.World,
) -> None:
    """A second name would be refused as stale, and the old reads would let the money go back."""
    way, sale = cooled(world)
    world.out.plaza.arm("cut_after", on="move")
    world.out.plaza.arm("stale_reads")
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) in ("delivering", "delivery_unknown")
    assert Transfer.objects.get().state == "done"
    world.out.calm()
    until_state(world, sale, "inspection")
    world.check(sale)


def test_a_platform_that_never_answers_the_move_keeps_the_money_in_escrow_until_it_does(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    world.out.plaza.arm("error", on="move", times=10_000)
    way.pay(sale)
    world.drain(hurry=True)
    assert state(sale) == "delivery_unknown"
    world.pass_time(days=2)
    assert state(sale) == "delivery_unknown"
    assert world.out.taken(sale) == {"charge": 42_000}
    world.out.calm()
    until_state(world, sale, "inspection")
    world.check(sale)


def test_a_platform_that_is_away_before_the_move_gets_none_and_money_goes_back_once_it_is_read(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    world.out.plaza.arm("error", on="reads", times=10_000)
    way.pay(sale)
    world.drain(hurry=True)
    assert Transfer.objects.get().state == "pending"
    world.pass_time(days=1.1)
    assert state(sale) == "delivering"
    world.out.calm()
    world.drain(hurry=True)
    assert state(sale) == "refunded"
    assert world.holds(way.handle) == Sale.objects.get(pk=sale).seller_account_id
    world.check(sale)


def test_a_handle_that_went_elsewhere_before_the_move_is_not_taken_from_there(
    world: worlds.World,
) -> None:
    way, sale = cooled(world)
    third, _ = world.account()
    given(world, way, to=third)
    way.pay(sale)
    until_state(world, sale, "refunded")
    assert world.holds(way.handle) == third == Handle.objects.get(handle=way.handle).account_id
    assert sum(world.out.taken(sale).values()) == 0
    world.check(sale)


def given(world: worlds.World, way: Way, *, to: str) -> None:
    """The platform moves the handle though the market has not asked for it."""
    seller = Handle.objects.get(handle=way.handle).account_id
    said = world.out.platform().move(
        handle=way.handle,
        source=seller,
        to=to,
        placeholder=None,
        expected_holder=seller,
        fence=1,
        key=f"elsewhere-{way.handle}",
    )
    assert said.done


# ---- webhooks are hints, whatever they say


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def inbox(world: worlds.World, tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    """The market's own address, and a provider that posts to it; gives the statuses it answered."""
    import threading

    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    answered: list[int] = []
    application = get_wsgi_application()

    def heard(environ: Any, start: Any) -> Any:
        def begin(status: str, headers: Any, *more: Any) -> Any:
            answered.append(int(status.split()[0]))
            return start(status, headers, *more)

        try:
            return application(environ, begin)
        finally:
            connections.close_all()

    server = make_server("127.0.0.1", 0, heard, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/hooks/payments/stripe"
    options = ["--settle-seconds", "0.3", "--webhook-url", url, "--webhook-secret", worlds.SECRET]
    provider = Program("onym_demo.payments", tmp_path / "hooked", options).start()
    before, world.out.provider = world.out.provider, provider
    world.install()
    yield lambda: answered
    world.out.provider = before
    provider.kill()
    server.shutdown()
    thread.join()
    server.server_close()


HINTS: list[tuple[str, float, int | None]] = [
    ("duplicate", 5, 200),
    ("delay", 0.6, 200),
    ("reorder", 0.4, 200),
    ("wrong_signature", 0, 401),
    ("stale_signature", 0, 401),
    ("drop", 0, None),
]


@pytest.mark.parametrize(("kind", "seconds", "status"), HINTS)
def test_hints_that_come_twice_late_crossed_or_forged_change_no_outcome(
    world: worlds.World,
    inbox: Callable[[], list[int]],
    kind: str,
    seconds: float,
    status: int | None,
) -> None:
    way, sale = cooled(world)
    plan(world, "webhooks", kind, seconds=seconds, times=2)
    way.pay(sale, "pm_onym_processing")
    until_state(world, sale, "inspection")
    pending = world.out.provider.get
    worlds.until(lambda: pending("/demo/pending").json()["webhooks"] == 0, seconds=15)
    world.drain(hurry=True)
    assert status is None or status in inbox()
    assert Entry.objects.filter(kind="funded").count() == 1
    assert world.out.taken(sale) == {"charge": 42_000}
    world.check(sale)


def hint(sale: str, *, secret: str = worlds.SECRET, at: float | None = None) -> tuple[bytes, str]:
    """A delivery that says a sale is paid, and its signature."""
    intent = {"id": "pi_forged", "object": "payment_intent", "metadata": {"sale_id": sale}}
    event = {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": intent}}
    payload = json.dumps(event | {"object": "event"}).encode()
    stamp = int(time.time() if at is None else at)
    return payload, webhooks.signature(payload=payload, secrets=(secret,), at=stamp)


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 200), ({"secret": "whsec_of_somebody_else"}, 401), ({"at": 1_000_000_000}, 401)],
)
def test_a_hint_that_says_paid_is_asked_about_and_not_believed(
    world: worlds.World, client: Any, changes: dict[str, Any], status: int
) -> None:
    way, sale = cooled(world)
    plan(world, "*", "silent", times=200)
    way.pay(sale)
    settles_down(world, sale, seconds=0.1)
    payload, signature = hint(sale, **changes)
    answer = client.post(
        "/hooks/payments/stripe",
        payload,
        content_type="application/json",
        headers={"Stripe-Signature": signature},
    )
    assert answer.status_code == status, answer.content
    world.drain(hurry=True)
    assert state(sale) == "funding_unknown"
    assert not Entry.objects.exists()
    assert requests.get(f"{world.out.provider.base}/health", timeout=5).ok
