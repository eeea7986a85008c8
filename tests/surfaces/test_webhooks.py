"""Webhooks of relying sites, told to a server that drops, fails, dawdles and hears twice."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from tests import make
from tests.surfaces.receiver import Receiver, receiving
from tests.surfaces.test_api import Caller
from tests.world import World

from onym.core import webhook as core
from onym.core.events import Event
from onym.flows import log, record
from onym.flows import webhook as flow
from onym.jobs import clock as clock_jobs
from onym.jobs import webhook as jobs
from onym.queries import due
from onym.queries import webhook as queries
from onym.store import clock
from onym.store.models import IdempotentRequest
from onym.store.webhook import Delivery, Webhook

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def world(database: Any, settings: Any) -> World:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    return World(make.namespace(), None)  # type: ignore[arg-type]  # no platform is asked here


@pytest.fixture
def site(world: World) -> Caller:
    return Caller(make.member(world.place))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as here:
        yield here


def subscribed(world: World, site: Caller, receiver: Receiver) -> Any:
    answer = site.send("POST", "/webhooks", {"url": receiver.url})
    assert answer.status_code == 201, answer.content
    world.drain()
    return answer.json()


def happens(world: World, *handles: str) -> None:
    """Hand-overs enter the log, and what is due about them is ordered."""
    for handle in handles:
        body = {"handle": handle, "holder_before": None, "holder_after": "1004"}
        event = Event("TransferReadBack", f"trf_{handle}", body)
        record.log(event, namespace="demo", at=clock.now())
    log.integrate()
    clock_jobs.run_all(due.until(clock.now()))


def state(site: Caller, made: Any) -> Any:
    return site.send("GET", f"/webhooks/{made['id']}").json()


def test_a_site_is_pinged_then_told_with_a_signature_that_it_can_check(
    world: World, site: Caller, receiver: Receiver
) -> None:
    happens(world, "before")
    made = subscribed(world, site, receiver)
    assert made["state"] == "pending"
    assert made["secret"].startswith("whsec_")
    assert [one["data"] for one in receiver.messages("webhook.ping")] == [{"webhook": made["id"]}]
    assert state(site, made)["state"] == "active"
    happens(world, "moon", "star")
    world.drain()
    feed = Client().get("/api/v1/handovers").json()["items"]
    told = receiver.messages()
    assert [one["data"] for one in told] == feed[1:]
    assert told[0]["timestamp"] == feed[1]["at"]
    assert receiver.verified(made["secret"])
    assert not receiver.verified(core.secret(b"x" * 32))
    assert state(site, made)["deliveries"] == {"pending": 0, "delivered": 2, "dead": 0}
    happens(world)
    world.drain()
    assert len(receiver.messages()) == 2


def test_the_secret_is_shown_by_the_one_answer_and_kept_nowhere_in_the_clear(
    world: World, site: Caller, receiver: Receiver
) -> None:
    answer = site.send("POST", "/webhooks", {"url": receiver.url}, key="same")
    made, again = answer.json(), site.send("POST", "/webhooks", {"url": receiver.url}, key="same")
    assert (again.json()["id"], again.json()["secret"]) == (made["id"], made["secret"])
    assert answer["Cache-Control"] == "no-store"
    assert "secret" not in state(site, made)
    assert "secret" not in site.send("GET", "/webhooks").json()["items"][0]
    assert made["secret"] not in str(IdempotentRequest.objects.get(key="same").body)
    with connection.cursor() as cursor:
        cursor.execute("select w::text from store_webhook w")
        dumped = str(cursor.fetchall())
    assert made["secret"].encode().hex() not in dumped
    assert receiver.url.encode().hex() not in dumped


@pytest.mark.parametrize("trouble", ["drop", "late", 500, 429, 302])
def test_whatever_goes_wrong_is_tried_again_under_the_same_id(
    world: World, site: Caller, receiver: Receiver, trouble: Any
) -> None:
    made = subscribed(world, site, receiver)
    receiver.behaviour = [trouble, trouble]
    happens(world, "moon")
    world.drain(hurry=True)
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("delivered", 3)
    assert receiver.ids()[-1] == row.id
    assert set(receiver.ids()) == {f"{made['id']}-ping", row.id}
    heard = 1 if trouble == "drop" else 3
    assert len(receiver.messages()) == heard  # at least once: what was heard may come again
    assert not any("/elsewhere" in str(headers) for headers, _ in receiver.heard)


def test_a_slow_receiver_is_given_up_on_in_seconds_and_holds_up_only_itself(
    world: World, site: Caller, receiver: Receiver
) -> None:
    subscribed(world, site, receiver)
    receiver.behaviour = ["slow"]
    happens(world, "moon")
    world.drain()
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.status, row.why) == ("pending", 1, None, "timeout")


def test_the_waits_grow_on_the_machines_clock_and_the_last_one_is_the_end(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = subscribed(world, site, receiver)
    receiver.behaviour = [503] * 20
    happens(world, "moon")
    world.drain()
    with connection.cursor() as cursor:
        cursor.execute(
            "select scheduled_at, priority, lock from procrastinate_jobs where status = 'todo'"
        )
        ((at, priority, lock),) = cursor.fetchall()
    assert timedelta(0) < at - clock.machine() <= timedelta(seconds=core.WAITS_SECONDS[0])
    assert (priority, lock) == (flow.LAST, made["id"])
    world.drain(hurry=True)
    row = Delivery.objects.get()
    assert (row.state, row.status, row.attempts) == ("dead", 503, len(core.WAITS_SECONDS) + 1)
    assert list(core.WAITS_SECONDS) == sorted(core.WAITS_SECONDS)
    assert world.drain(hurry=True) == 0


def dead(world: World, site: Caller, receiver: Receiver) -> tuple[Any, Delivery]:
    made = subscribed(world, site, receiver)
    receiver.behaviour = [500] * (len(core.WAITS_SECONDS) + 1)
    happens(world, "moon")
    world.drain(hurry=True)
    return made, Delivery.objects.get()


def test_a_dead_letter_is_listed_and_sent_again_by_its_subscriber_alone(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made, row = dead(world, site, receiver)
    (told,) = site.send("GET", f"/webhooks/{made['id']}/deliveries?state=dead").json()["items"]
    assert (told["id"], told["status"], told["attempts"]) == (row.id, 500, row.attempts)
    stranger = Caller(make.member(world.place))
    assert stranger.send("POST", f"/deliveries/{row.id}/send").status_code == 404
    assert stranger.send("GET", f"/webhooks/{made['id']}/deliveries").status_code == 404
    assert stranger.send("DELETE", f"/webhooks/{made['id']}").status_code == 404
    answer = site.send("POST", f"/deliveries/{row.id}/send")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    world.drain()
    assert Delivery.objects.get().state == "delivered"
    again = site.send("POST", f"/deliveries/{row.id}/send")
    assert (again.status_code, again.json()["code"]) == (409, "already_closed")


def test_410_ends_the_subscription_and_an_address_that_never_answers_is_forgotten(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = subscribed(world, site, receiver)
    receiver.behaviour = [410]
    happens(world, "moon", "star")
    world.drain(hurry=True)
    assert (state(site, made)["state"], state(site, made)["why"]) == ("ended", "gone")
    assert len(receiver.messages()) == 1
    receiver.behaviour = ["drop"] * core.PINGS
    silent = subscribed(world, site, receiver)
    world.drain(hurry=True)
    assert (state(site, silent)["state"], state(site, silent)["why"]) == ("ended", "unanswered")
    happens(world, "sun")
    world.drain(hurry=True)
    assert len(receiver.messages()) == 1


def test_an_ended_webhook_is_told_nothing_more(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = subscribed(world, site, receiver)
    happens(world, "moon")
    assert site.send("DELETE", f"/webhooks/{made['id']}").json()["state"] == "ended"
    world.drain(hurry=True)
    assert receiver.messages() == []
    again = site.send("DELETE", f"/webhooks/{made['id']}")
    assert (again.status_code, again.json()["code"]) == (409, "already_closed")
    assert subscribed(world, site, receiver)["id"] != made["id"]


def test_gathering_twice_at_once_and_a_job_that_comes_twice_tell_once(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = subscribed(world, site, receiver)
    for handle in ("moon", "star"):
        body = {"handle": handle, "holder_before": None, "holder_after": "1004"}
        event = Event("TransferReadBack", f"trf_{handle}", body)
        record.log(event, namespace="demo", at=clock.now())
    log.integrate()
    gate = threading.Barrier(2)

    def gather() -> None:
        gate.wait()
        flow.gather(webhook_id=made["id"])
        connection.close()

    threads = [threading.Thread(target=gather) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.count() == 2
    first = Delivery.objects.order_by("leaf_index")[0]
    jobs.deliver(delivery_id=first.id, attempt=0)
    jobs.deliver(delivery_id=first.id, attempt=0)
    world.drain()
    assert len(receiver.messages()) == 2
    assert not Delivery.objects.exclude(state="delivered").exists()
    assert queries.message(first.id) is None


def test_a_failure_that_is_reported_twice_counts_once(
    world: World, site: Caller, receiver: Receiver
) -> None:
    subscribed(world, site, receiver)
    happens(world, "moon")
    receiver.behaviour = [500, 500]
    row = Delivery.objects.get()
    for _ in range(2):
        flow.record_attempt(delivery_id=row.id, attempt=0, said=core.Said(500))
    jobs.deliver(delivery_id=row.id, attempt=0)
    assert (Delivery.objects.get().attempts, receiver.messages()) == (1, [])


# The pages


def page_of(row: Any) -> Client:
    row.user = User.objects.create_user(row.id)
    row.save(update_fields=["user"])
    client = Client()
    client.force_login(row.user)
    return make.confirmed(client)


def press(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, fields | {"key": f"form-{len(fields)}-{next(KEYS)}"})


KEYS = itertools.count(1)


def test_a_member_subscribes_on_a_page_sees_the_secret_once_and_ends_it(
    world: World, receiver: Receiver
) -> None:
    browser = page_of(make.member(world.place))
    made = press(browser, "/fr/me/webhooks", do="subscribe", url=receiver.url)
    assert (made.status_code, made["Cache-Control"]) == (200, "no-store")
    row = Webhook.objects.get()
    assert row.secret in made.content.decode()
    page = browser.get("/fr/me/webhooks").content.decode()
    assert row.secret not in page
    assert receiver.url in page
    world.drain()
    assert press(browser, "/fr/me/webhooks", do="end", webhook=row.id).status_code == 302
    assert Webhook.objects.get().state == "ended"
    wrong = press(browser, "/fr/me/webhooks", do="subscribe", url="https://10.0.0.1/")
    assert wrong.status_code == 400
    assert 'value="https://10.0.0.1/"' in wrong.content.decode()
    stranger = page_of(make.member(world.place))
    assert press(stranger, "/en/me/webhooks", do="end", webhook=row.id).status_code == 404


def test_what_was_given_up_is_sent_again_from_its_members_page_and_from_the_desk(
    world: World, site: Caller, receiver: Receiver
) -> None:
    _, row = dead(world, site, receiver)
    browser = page_of(site.member)
    assert row.id in browser.get("/en/me/webhooks").content.decode()
    assert press(browser, "/en/me/webhooks", do="send", delivery=row.id).status_code == 302
    receiver.behaviour = [500] * (len(core.WAITS_SECONDS) + 1)
    world.drain(hurry=True)
    assert Delivery.objects.get().state == "dead"
    auditor = page_of(make.member(world.place, roles="auditor"))
    assert "127.0.0.1" in auditor.get("/en/desk/calls").content.decode()
    assert press(auditor, "/en/desk/calls", do="send", about=row.id).status_code == 403
    curator = page_of(make.member(world.place, roles="curator"))
    assert press(curator, "/en/desk/calls", do="send", about=row.id).status_code == 302
    world.drain(hurry=True)
    assert Delivery.objects.get().state == "delivered"
    assert row.id not in curator.get("/en/desk/calls").content.decode()
    assert press(browser, "/en/desk/calls", do="send", about=row.id).status_code == 403


REFUSED = [
    "http://site.example/hook",
    "ftp://127.0.0.1/",
    "https://user:word@site.example/",
    "https://10.0.0.1/hook",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://0.0.0.0/",
    "https://100.64.0.1/",
    "https://nobody.invalid/hook",
    "//site.example",
    "https://",
    "https://site.example:99999/",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_leads_into_a_network_or_nowhere_is_refused(
    world: World, site: Caller, url: str
) -> None:
    answer = site.send("POST", "/webhooks", {"url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), answer.content
    assert not Webhook.objects.exists()


def test_outside_the_demo_not_even_this_machine_is_called(
    world: World, site: Caller, receiver: Receiver, settings: Any
) -> None:
    subscribed(world, site, receiver)
    settings.DEMO = False
    answer = site.send("POST", "/webhooks", {"url": f"{receiver.url}/2"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    happens(world, "moon")
    world.drain()
    assert receiver.messages() == []
    assert Delivery.objects.get().why == "not_public"


def test_ten_webhooks_are_enough_and_one_address_is_subscribed_once(
    world: World, site: Caller, receiver: Receiver
) -> None:
    subscribed(world, site, receiver)
    twice = site.send("POST", "/webhooks", {"url": receiver.url})
    assert (twice.status_code, twice.json()["code"]) == (400, "malformed")
    for number in range(flow.MOST - 1):
        site.send("POST", "/webhooks", {"url": f"{receiver.url}/{number}"})
    assert Webhook.objects.count() == flow.MOST
    one_more = site.send("POST", "/webhooks", {"url": f"{receiver.url}/more"})
    assert (one_more.status_code, one_more.json()["code"]) == (400, "malformed")
    page = site.send("GET", "/webhooks?limit=4").json()
    assert len(page["items"]) == 4
    rest = site.send("GET", f"/webhooks?limit=100&cursor={page['next']}").json()
    assert len(rest["items"]) == flow.MOST - 4
    assert rest["next"] is None
