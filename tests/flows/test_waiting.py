"""Who was right too late waits in line, and is told first when the handle is available again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from tests import make
from tests.flows import reclaiming
from tests.flows.reclaiming import Idle, Mailbox, World

from onym.flows import appeal, reclaim, transfer, watch
from onym.store import rowlocks
from onym.store.models import Appeal, Handle, Notice, Reclaim

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


def lost(world: World) -> tuple[Idle, Idle]:
    """An idle account whose handle somebody else has had since the day it was released."""
    world.count += 1
    sunset = world.idle(email=f"{world.folder.name.replace('_', '-')[:30]}@waiting.example")
    world.adopt(sunset)
    world.go(days=61.05)
    other = world.idle()
    said = world.plaza.port().move(
        handle=sunset.handle,
        source=sunset.account_id,
        to=other.account_id,
        placeholder=None,
        expected_holder=sunset.account_id,
        fence=1,
        key=f"away-{sunset.handle}",
    )
    assert said.done
    reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    assert Reclaim.objects.get().ending == "gone"
    return sunset, Idle(other.account_id, sunset.handle, other.row | {"handle": sunset.handle})


def waits(world: World, account: Idle) -> Appeal:
    made = appeal.open_by_link(token=world.link(account), text="It is mine.")
    made = appeal.decide(appeal_id=made.id, by=world.team[2].id, outcome="upheld")
    assert made.remedy == "wait"
    return made


def told() -> list[tuple[str, str]]:
    rows = Notice.objects.filter(kind="free_again").order_by("channel")
    return list(rows.values_list("channel", "state"))


def found_idle_again(world: World, sunset: Idle, other: Idle) -> None:
    """A second sweep, after so much silence that it counts, finds the handle's new holder idle."""
    world.go(days=40)
    world.know(sunset, other)
    world.adopt_known(other)


def test_who_waits_is_told_when_the_handle_is_released_again_and_not_before(world: World) -> None:
    sunset, other = lost(world)
    waits(world, sunset)
    world.go(days=1)
    assert told() == []
    found_idle_again(world, sunset, other)
    world.go(days=59)
    assert (Handle.objects.get().state, told()) == ("resting", [])
    world.go(days=3)
    assert Handle.objects.get().state == "released"
    assert told() == [("mail", "sent"), ("platform", "sent")]
    letter = world.box.letters(sunset.mail or "")[-1]
    assert letter["subject"] == f"The handle {sunset.handle} is available again"
    assert "the first to be told" in letter["text"]
    world.touch(other)
    assert len(told()) == 2, "told once"


def test_nobody_who_watches_the_handle_is_told_before_who_waits(world: World) -> None:
    sunset, other = lost(world)
    waits(world, sunset)
    watcher = make.member(world.place, account="watcher", mail="watcher@waiting.example")
    watch.handle(namespace=world.place.id, handle=sunset.handle, by=watcher.id)
    found_idle_again(world, sunset, other)
    world.go(days=64)
    kinds = list(Notice.objects.order_by("made_at", "id").values_list("kind", flat=True))
    assert "free_again" in kinds
    if "watch_hit" in kinds:
        assert kinds.index("free_again") < kinds.index("watch_hit")


def test_who_waits_is_told_of_a_handle_that_nobody_holds_any_more(world: World) -> None:
    sunset, _ = lost(world)
    waits(world, sunset)
    with transaction.atomic():
        row = rowlocks.handle(namespace=world.place.id, handle=sunset.handle)
        transfer.change_holder(row, to=None, cause="platform", now=world.now())
    world.work()
    assert told() == [("mail", "sent"), ("platform", "sent")]


def test_an_appeal_that_is_right_while_the_handle_is_available_is_told_at_once(
    world: World,
) -> None:
    sunset, other = lost(world)
    made = appeal.open_by_link(token=world.link(sunset), text="It is mine.")
    found_idle_again(world, sunset, other)
    world.go(days=64)
    reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    assert (Handle.objects.get().state, told()) == ("released", [])
    appeal.decide(appeal_id=made.id, by=world.team[2].id, outcome="upheld")
    world.work()
    assert len(told()) == 2


def test_who_has_the_handle_again_does_not_wait_for_it(world: World) -> None:
    sunset, _ = lost(world)
    waits(world, sunset)
    with transaction.atomic():
        row = rowlocks.handle(namespace=world.place.id, handle=sunset.handle)
        transfer.change_holder(row, to=sunset.account_id, cause="platform", now=world.now())
    world.adopt(sunset)
    world.go(days=101)
    assert told() == []
