"""After a hand-over, from outside: the feed in the order of the log, since when a handle is whose,
the retained handle that leads on, and the banner; against the demo's platform."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from tests import make
from tests import world as worlds
from tests.faults import ways

from onym.core.events import Event
from onym.flows import clock, log, record
from onym.queries import handover
from onym.store import clock as store_clock
from onym.store.models import Handle, Sale

FEED = "/api/v1/handovers"


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def sold(world: worlds.World, *, price: float = 400) -> tuple[ways.Way, Any, str]:
    """A handle of the stock that was bought and moved: the way, its sale, the buyer's old one."""
    buyer, _, old = world.member()
    stock = world.stock()
    way = ways.Way("listing", world, stock, buyer, None, make.usd(price), world.team[0])
    made = way.agree()
    way.pay(made)
    world.drain(hurry=True)
    log.integrate()
    return way, Sale.objects.get(pk=made), old


def feed(**asked: object) -> Any:
    answer = Client().get(FEED, asked)
    assert answer.status_code == 200, answer.content
    return answer.json()


def handle(name: str) -> Any:
    return Client().get(f"/api/v1/handles/{name}").json()


def test_a_hand_over_stands_in_the_feed_by_permanent_ids_and_agrees_with_the_handle(
    world: worlds.World,
) -> None:
    assert feed() == {"items": [], "next": None}
    way, sale, old = sold(world)
    (item,) = feed()["items"]
    said = handle(way.handle)
    assert item["handle"] == way.handle
    assert item["account_id"] == item["holder_after"] == sale.buyer_account_id
    assert item["holder_before"] is None
    assert item["vacated"] == old
    assert said["holder"] == {"account_id": item["account_id"]}
    assert said["valid_since"] == item["valid_since"] == said["tenures"][-1]["held_from"]
    (found,) = Client().get(f"/api/v1/handles?q={way.handle}&match=exact").json()["items"]
    assert (found["holder"], found["valid_since"]) == (said["holder"], said["valid_since"])
    leaf = Client().get(f"/en/log/{item['leaf_index']}").content.decode()
    assert item["transfer"] in leaf
    assert feed(since=item["leaf_index"])["items"] == []
    assert feed(since=item["leaf_index"] - 1)["items"] == [item]


def told(place: Any, number: int) -> None:
    body = {"handle": f"h{number}", "holder_before": "1", "holder_after": f"{number}"}
    at = store_clock.now()
    record.log(Event(handover.TYPE, f"trf_{number}", body), namespace=place.id, at=at)


def test_pages_of_the_feed_are_in_the_order_of_the_leaves_and_fit_for_caches(
    database: str, settings: Any
) -> None:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    place = make.namespace()
    for number in range(5):
        told(place, number)
        if number == 2:
            record.log(
                Event("PhaseSet", "demo", {"before": "closed", "after": "open"}),
                namespace="demo",
                at=store_clock.now(),
            )
    log.integrate()
    first = Client().get(FEED, {"limit": 2})
    assert [item["handle"] for item in first.json()["items"]] == ["h0", "h1"]
    assert "immutable" in first["Cache-Control"]
    assert "Cookie" not in first.get("Vary", "")
    second = Client().get(FEED, {"limit": 2, "cursor": first.json()["next"]})
    assert [item["handle"] for item in second.json()["items"]] == ["h2", "h3"]
    last = Client().get(FEED, {"limit": 2, "cursor": second.json()["next"]})
    assert ([item["handle"] for item in last.json()["items"]], last.json()["next"]) == (
        ["h4"],
        None,
    )
    assert "immutable" not in last["Cache-Control"]
    again = Client().get(
        FEED, {"limit": 2, "cursor": second.json()["next"]}, headers={"If-None-Match": last["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    told(place, 5)
    log.integrate()
    assert [
        item["handle"] for item in feed(since=last.json()["items"][0]["leaf_index"])["items"]
    ] == ["h5"]
    leaves = [item["leaf_index"] for item in feed()["items"]]
    assert leaves == sorted(leaves)
    assert len(leaves) == 6


@pytest.mark.parametrize(
    "asked", ["since=-2", "since=x", "limit=0", "limit=101", "cursor=%00", "cursor=bm8"]
)
def test_what_the_feed_cannot_read_is_malformed(database: str, settings: Any, asked: str) -> None:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    make.namespace()
    answer = Client().get(f"{FEED}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_the_retained_handle_leads_to_the_new_one_for_thirty_days_and_then_nowhere(
    world: worlds.World,
) -> None:
    way, _, old = sold(world)
    said = handle(old)
    assert (said["state"], said["redirect_to"]) == ("reserved", way.handle)
    led = Client().get(f"/fr/@{old}")
    assert (led.status_code, led["Location"]) == (302, f"/fr/@{way.handle}?from={old}")
    assert old in Client().get(led["Location"]).content.decode()
    assert Client().get(f"/fr/@{old}?stay=1").status_code == 200
    until = Handle.objects.get(handle=old).retained_until
    assert until - store_clock.now() > timedelta(days=29)
    clock.set_ahead(to=until - timedelta(minutes=1))
    assert handle(old)["redirect_to"] == way.handle
    clock.set_ahead(to=until)  # no job has run: time alone ends it
    assert handle(old)["redirect_to"] is None
    assert Client().get(f"/en/@{old}").status_code == 200
    world.pass_time(days=1)
    assert (handle(old)["state"], handle(old)["holder"]) == ("free", None)


def test_a_page_does_not_claim_that_another_handle_led_to_it_unless_it_does(
    world: worlds.World,
) -> None:
    way, _, _ = sold(world)
    page = Client().get(f"/en/@{way.handle}?from=bank").content.decode()
    assert "You were led here" not in page


def test_the_banner_about_a_hand_over_lasts_ninety_days(world: worlds.World) -> None:
    way, _, _ = sold(world)
    says = lambda: "changed hands on" in Client().get(f"/en/@{way.handle}").content.decode()  # noqa: E731
    moved = Handle.objects.get(handle=way.handle).changed_hands_at
    assert says()
    clock.set_ahead(to=moved + timedelta(days=90) - timedelta(minutes=1))
    assert says()
    clock.set_ahead(to=moved + timedelta(days=90))
    assert not says()
    assert handle(way.handle)["changed_hands_at"] is not None


def test_after_an_appeal_gave_the_handle_back_the_buyers_old_one_leads_nowhere(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    (old,) = Handle.objects.filter(redirect_to=way.handle).values_list("handle", flat=True)
    assert Client().get(f"/en/@{old}").status_code == 302
    way.go()
    assert handle(way.handle)["holder"] == {"account_id": way.account}
    assert handle(old)["redirect_to"] is None
    assert Client().get(f"/en/@{old}").status_code == 200
    assert Handle.objects.get(handle=old).retained_until is not None
    log.integrate()
    assert [item["holder_after"] for item in feed()["items"]][-1] == way.account
