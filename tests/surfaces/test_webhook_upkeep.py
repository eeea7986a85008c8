"""Webhooks over the years: their secrets are changed, and what became of messages is forgotten."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from tests import make
from tests.surfaces import test_webhooks as hooks
from tests.surfaces.receiver import Receiver, receiving
from tests.surfaces.test_api import Caller
from tests.world import World

from onym.core import webhook as core
from onym.flows import retention
from onym.store import clock
from onym.store.models import IdempotentRequest
from onym.store.webhook import Delivery, Webhook

pytestmark = pytest.mark.usefixtures("database")
receiver, site, world = hooks.receiver, hooks.site, hooks.world
assert receiving


def rotated(site: Caller, made: Any, *, key: str = "") -> Any:
    answer = site.send(
        "POST", f"/webhooks/{made['id']}/secret", {}, **({"key": key} if key else {})
    )
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def signatures(receiver: Receiver) -> list[str]:
    """Those of the last message, in their order."""
    return receiver.heard[-1][0]["webhook-signature"].split(" ")


def by(secret: str, receiver: Receiver) -> str:
    """What this secret makes of the last message."""
    headers, body = receiver.heard[-1]
    stamp = int(headers["webhook-timestamp"])
    told = core.headers(secrets=[secret], id=headers["webhook-id"], timestamp=stamp, body=body)
    return told["webhook-signature"]


def test_for_a_day_both_secrets_sign_and_then_the_new_one_alone(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    receiver.heard.clear()  # the ping
    fresh = rotated(site, made)
    assert fresh["secret"] != made["secret"]
    assert len(base64.b64decode(fresh["secret"].removeprefix("whsec_"))) == core.SECRET_BYTES
    hooks.happens(world, "moon")
    world.drain()
    assert signatures(receiver) == [by(fresh["secret"], receiver), by(made["secret"], receiver)]
    assert receiver.verified(fresh["secret"])
    assert receiver.verified(made["secret"])
    until = Webhook.objects.get().secret_before_until
    assert until is not None
    assert timedelta(0) <= core.OVERLAP - (until - clock.machine()) < timedelta(minutes=5)
    Webhook.objects.update(secret_before_until=clock.machine())
    assert hooks.state(site, made)["secret_before_until"] is None
    hooks.happens(world, "star")
    world.drain()
    assert signatures(receiver) == [by(fresh["secret"], receiver)]


def test_an_attempt_that_comes_later_is_signed_by_what_signs_then(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    receiver.behaviour = [500]
    hooks.happens(world, "moon")
    world.drain()
    assert len(signatures(receiver)) == 1
    fresh = rotated(site, made)
    world.drain(hurry=True)
    assert signatures(receiver)[0] == by(fresh["secret"], receiver)
    assert Delivery.objects.get().state == "delivered"


def test_changed_twice_the_oldest_secret_is_worth_nothing_at_once(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    middle, last = rotated(site, made), rotated(site, made)
    hooks.happens(world, "moon")
    world.drain()
    assert signatures(receiver) == [by(last["secret"], receiver), by(middle["secret"], receiver)]
    assert by(made["secret"], receiver) not in signatures(receiver)


def test_a_change_repeated_under_its_key_is_one_change_and_no_secret_lies_in_the_clear(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    fresh = rotated(site, made, key="once")
    assert rotated(site, made, key="once") == fresh
    assert fresh["secret"] not in str(IdempotentRequest.objects.get(key="once").body)
    row = Webhook.objects.get()
    assert row.secrets_at(clock.machine()) == (fresh["secret"], made["secret"])
    assert made["secret"].encode() not in bytes(row.secret_before_sealed or b"")


def test_only_its_member_changes_a_secret_and_only_of_a_webhook_that_lives(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    stranger = Caller(make.member(world.place))
    assert stranger.send("POST", f"/webhooks/{made['id']}/secret", {}).status_code == 404
    site.send("DELETE", f"/webhooks/{made['id']}")
    refused = site.send("POST", f"/webhooks/{made['id']}/secret", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_closed")


def test_the_page_shows_a_changed_secret_once_and_until_when_the_old_one_signs(
    world: World, receiver: Receiver
) -> None:
    member = make.member(world.place)
    browser = hooks.page_of(member)
    made = hooks.subscribed(world, Caller(member), receiver)
    shown = hooks.press(browser, "/en/me/webhooks", do="rotate", webhook=made["id"])
    assert (shown.status_code, shown["Cache-Control"]) == (200, "no-store")
    fresh = Webhook.objects.get().secret
    assert fresh in shown.content.decode()
    assert made["secret"] not in shown.content.decode()
    page = browser.get("/en/me/webhooks").content.decode()
    assert fresh not in page
    assert "The secret before signs beside the new one until" in page
    stranger = hooks.page_of(make.member(world.place))
    told = hooks.press(stranger, "/en/me/webhooks", do="rotate", webhook=made["id"])
    assert told.status_code == 404


# ---- retention


def days_ago(days: float) -> Any:
    return clock.machine() - timedelta(days=days)


def test_what_became_of_messages_is_kept_for_its_days_and_then_forgotten(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    hooks.happens(world, "old", "recent", "waiting")
    world.drain()
    old, recent, waiting = Delivery.objects.order_by("leaf_index")
    Delivery.objects.filter(pk=old.pk).update(answered_at=days_ago(90.1))
    Delivery.objects.filter(pk=recent.pk).update(answered_at=days_ago(89.9))
    Delivery.objects.filter(pk=waiting.pk).update(
        state="pending", made_at=days_ago(400), answered_at=days_ago(400)
    )
    assert retention.purge()["deliveries"] == 1
    assert set(Delivery.objects.values_list("id", flat=True)) == {recent.id, waiting.id}
    assert hooks.state(site, made)["deliveries"] == {"pending": 1, "delivered": 1, "dead": 0}
    hooks.happens(world)
    world.drain()
    assert Delivery.objects.count() == 2  # what is forgotten is not told again


def test_what_was_given_up_before_any_attempt_counts_from_when_it_was_made(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    hooks.happens(world, "moon")
    site.send("DELETE", f"/webhooks/{made['id']}")
    assert Delivery.objects.get().answered_at is None
    assert retention.purge()["deliveries"] == 0
    Delivery.objects.update(made_at=days_ago(90.1))
    assert retention.purge()["deliveries"] == 1


def test_an_ended_webhook_goes_once_its_days_and_its_messages_are_over(
    world: World, site: Caller, receiver: Receiver
) -> None:
    made = hooks.subscribed(world, site, receiver)
    hooks.happens(world, "moon")
    world.drain()
    site.send("DELETE", f"/webhooks/{made['id']}")
    Webhook.objects.update(ended_at=clock.now() - timedelta(days=91))
    assert retention.purge()["webhooks"] == 0
    Delivery.objects.update(answered_at=days_ago(91))
    assert retention.purge()["webhooks"] == 1
    assert site.send("GET", f"/webhooks/{made['id']}").status_code == 404


def test_a_secret_that_no_longer_signs_is_destroyed_by_the_daily_purge(
    world: World, site: Caller, receiver: Receiver
) -> None:
    rotated(site, hooks.subscribed(world, site, receiver))
    retention.purge()
    assert Webhook.objects.get().secret_before_sealed is not None
    Webhook.objects.update(secret_before_until=days_ago(0.01))
    retention.purge()
    row = Webhook.objects.get()
    assert (row.secret_before_sealed, row.secret_before_until) == (None, None)
