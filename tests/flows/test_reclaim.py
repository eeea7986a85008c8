"""The way of a handle through reclaim: real database, real platform, real mailbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.flows import reclaiming
from tests.flows.reclaiming import Mailbox, World
from tests.flows.warning import SECOND, address, bought, deadline, list_it, paid, released, warned

from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    HandleUnavailable,
    NotAllowed,
    NotFound,
    PlatformUnavailable,
    ReleaseStopped,
    SecondPersonNeeded,
)
from onym.core.names import canon
from onym.flows import desk, listing, reclaim, stop, transfer
from onym.jobs import reclaim as jobs
from onym.store.models import Approval, Handle, Reclaim, SaleSlot

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


# The clock


def test_a_silent_handle_is_warned_three_times_rests_and_is_released(world: World) -> None:
    sunset, quiet = world.idle(email=address(world)), world.idle()
    world.adopt(sunset, quiet)
    assert [world.state(a) for a in (sunset, quiet)] == ["held", "held"]
    world.go(days=29)
    assert [world.state(a) for a in (sunset, quiet)] == ["warned", "warned"]
    world.go(days=2)
    assert [world.state(a) for a in (sunset, quiet)] == ["resting", "resting"]
    world.go(days=30)
    assert [world.state(a) for a in (sunset, quiet)] == ["released", "released"]

    assert world.notices(sunset) == world.notices(quiet) == ["30", "14", "3"]
    subjects = [letter["subject"] for letter in world.box.letters(sunset.mail or "")]
    assert [word for subject in subjects for word in ("30", "14", "3") if f" {word} " in subject] \
        == ["30", "14", "3"]  # fmt: skip
    assert [leaf["count"] for leaf in world.leaves("HandleWarned")] == [2, 2, 2]
    assert [leaf["count"] for leaf in world.leaves("Resting")] == [2]
    assert [leaf["count"] for leaf in world.leaves("Released")] == [2]
    assert not Handle.objects.exists()  # a bulk act costs no row


def test_the_deadline_counts_from_the_notice_that_was_sent_not_from_the_plan(world: World) -> None:
    sunset = world.idle(email=address(world))
    adopted = world.adopt(sunset)
    world.silence()
    world.go(days=2)
    assert world.state(sunset) == "held"
    world.answer_again()
    jobs.tell(part_id=adopted.planpart_set.get().pk, number=1)
    told_at = adopted.planpart_set.get().sent[0]
    assert told_at >= adopted.planpart_set.get().starts_at + timedelta(days=1.9)
    assert deadline(world, sunset) == told_at + timedelta(days=30)
    mails = [letter["at"] for letter in world.box.letters(sunset.mail or "")]
    assert all(datetime.fromisoformat(at) + timedelta(days=30) <= deadline(world, sunset)
               for at in mails)  # fmt: skip


def test_a_retired_handle_is_asked_about_and_never_released(world: World) -> None:
    famous = world.idle(inbound_refs=20_000)
    world.adopt(famous, verdict="retire", resting_days=None)
    world.go(days=1)
    assert world.state(famous) == "warned"
    world.go(days=400)
    assert world.state(famous) == "retired"
    assert [leaf["count"] for leaf in world.leaves("Retired")] == [1]
    assert world.leaves("Released") == []


def test_a_protected_finding_is_left_alone(world: World) -> None:
    safe = world.idle()
    world.adopt(safe, verdict="protected", resting_days=None)
    world.go(days=300)
    assert world.state(safe) == "held"
    assert world.notices(safe) == []


# Keeping


@pytest.mark.parametrize(
    ("offset", "leaf"), [(-SECOND, "Kept"), (timedelta(0), "Restored"), (SECOND, "Restored")]
)
def test_the_holder_keeps_with_one_click_before_and_after_the_deadline(
    world: World, offset: timedelta, leaf: str
) -> None:
    sunset = warned(world)
    at = deadline(world, sunset) + offset
    while world.now() < at - 2 * SECOND:  # the clock steps by whole seconds
        world.go(to=at - 2 * SECOND)
    world.go(to=at)
    row = reclaim.keep_by_link(token=world.link(sunset))
    assert row.state == world.state(sunset) == "held"
    assert row.may_not_sell_until is not None
    assert row.may_not_sell_until > world.now() + timedelta(days=89)
    expected = leaf if offset else "Restored"
    assert len(world.leaves(expected)) == 1
    world.go(days=300)
    assert world.state(sunset) == "held"
    assert world.leaves("Released") == []


def test_clicking_twice_keeps_once(world: World) -> None:
    sunset = warned(world)
    token = world.link(sunset)

    def click(_: int) -> str:
        try:
            return reclaim.keep_by_link(token=token).state
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(click, range(8))) == {"held"}
    assert len(world.leaves("Kept")) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "",
        lambda token: "abc",
        lambda token: token[:-1],
        lambda token: token + "0",
        lambda token: token[1:],
        lambda token: "." + token.partition(".")[2],
        lambda token: token.swapcase(),
        lambda token: token.partition(".")[0] + "." + "é" * 64,
        lambda token: token.replace(token[10], "A" if token[10] != "A" else "B", 1),
    ],
)
def test_a_link_that_is_not_ours_keeps_nothing(world: World, spoil: Callable[[str], str]) -> None:
    sunset = warned(world)
    with pytest.raises(NotFound):
        reclaim.keep_by_link(token=spoil(world.link(sunset)))
    assert world.state(sunset) == "warned"


def test_a_link_speaks_for_its_own_account_only(world: World) -> None:
    sunset = warned(world)
    token = world.link(sunset)
    row = world.touch(sunset)
    Handle.objects.filter(pk=row.pk).update(account_id="somebody-else")
    with pytest.raises(AlreadyClosed):
        reclaim.keep_by_link(token=token)


def test_a_signed_in_holder_keeps_and_nobody_else_does(world: World) -> None:
    sunset = warned(world)
    holder = make.member(world.place, account=sunset.account_id)
    other = make.member(world.place, account="another")
    with pytest.raises(NotAllowed):
        reclaim.keep(namespace=world.place.id, handle=sunset.handle, by=other.id)
    kept = reclaim.keep(namespace=world.place.id, handle=sunset.handle.upper(), by=holder.id)
    assert kept.state == "held"
    with pytest.raises(HandleLocked):  # who wakes may keep, but not sell
        listing.open_(namespace=world.place.id, handle=sunset.handle, seller=holder.id,
                      price=make.usd(5))  # fmt: skip


def test_a_warned_handle_is_not_sold_by_whoever_got_into_its_account(world: World) -> None:
    sunset = warned(world)
    thief = make.member(world.place, account=sunset.account_id)
    with pytest.raises(HandleUnavailable):
        listing.open_(namespace=world.place.id, handle=sunset.handle, seller=thief.id,
                      price=make.usd(5))  # fmt: skip


# The last look


def test_an_account_that_was_seen_again_is_not_released(world: World) -> None:
    sunset = released(world)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    found = reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    assert found == world.state(sunset) == "held"
    assert len(world.leaves("Restored")) == 1


def test_without_a_fresh_answer_nothing_is_released_for_sale(world: World) -> None:
    sunset = released(world)
    world.silence()
    with pytest.raises(PlatformUnavailable):
        reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    with pytest.raises(HandleUnavailable):
        list_it(world, sunset)
    world.answer_again()
    assert reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle) == "released"
    list_it(world, sunset)


def test_a_touched_handle_is_released_by_a_job_after_its_last_look(world: World) -> None:
    sunset = warned(world)
    world.touch(sunset)
    world.go(days=61)
    row = Handle.objects.get(handle=canon(sunset.handle, "x"))
    assert row.state == "released"
    assert [leaf.get("handle") for leaf in world.leaves("Released")] == [row.handle]


def test_a_touched_handle_whose_holder_woke_goes_back_by_itself(world: World) -> None:
    sunset = warned(world)
    world.touch(sunset)
    world.go(days=31)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    world.go(days=31)
    assert world.state(sunset) == "held"


def test_a_protection_that_came_later_is_found_by_the_last_look(world: World) -> None:
    sunset = released(world)
    fresh = world.plaza.port().account(account_id=sunset.account_id)
    assert fresh is not None
    world.touch(sunset)
    process = Reclaim.objects.get()
    fresh["memorial"] = True
    holder = sunset.account_id
    state = reclaim.record_look(process_id=process.pk, holder=holder, account=fresh)
    assert state == "held"
    assert Reclaim.objects.get().ending == "protected"


def test_an_import_that_shows_a_login_gives_the_handle_back(world: World) -> None:
    sunset = warned(world)
    world.go(days=5)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    world.know(sunset)
    assert world.state(sunset) == "held"
    world.go(days=300)
    assert world.state(sunset) == "held"
    assert world.notices(sunset) == ["30"]


@pytest.mark.parametrize(("days", "leaf"), [(5, "Kept"), (40, "Restored")])
def test_an_import_that_shows_a_login_ends_a_way_of_its_own(
    world: World, days: float, leaf: str
) -> None:
    sunset = warned(world)
    world.touch(sunset)
    world.go(days=days)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    world.know(sunset)
    world.go(days=0.1)
    assert world.touch(sunset).state == world.state(sunset) == "held"
    assert [body["handle"] for body in world.leaves(leaf)] == [canon(sunset.handle, "x")]


def test_an_import_that_shows_a_login_takes_a_listed_handle_off_the_market(world: World) -> None:
    sunset = released(world)
    reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    list_it(world, sunset)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    world.know(sunset)
    world.go(days=0.1)
    assert world.state(sunset) == "held"
    assert not SaleSlot.objects.exists()


def test_a_login_that_an_import_brought_after_the_money_still_wins_if_it_was_before(
    world: World,
) -> None:
    sunset = released(world)
    sale, payment = bought(world, sunset)
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    seen = world.plaza.port().account(account_id=sunset.account_id)
    world.go(to=world.now() + 2 * SECOND)
    assert paid(payment).state == "delivering"
    world.know(sunset)
    assert seen is not None
    verdict = transfer.look(
        transfer_id=sale.transfer_set.get().id,
        holder=sunset.account_id,
        last_seen=seen["last_login_at"],
        vacated=None,
    )
    assert verdict == "returned"


# The release stop


def test_under_the_stop_all_goes_on_but_the_release(world: World) -> None:
    world.stop(on=True)
    sunset = warned(world)
    world.go(days=100)
    assert world.state(sunset) == "resting"
    assert world.notices(sunset) == ["30", "14", "3"]
    with pytest.raises(ReleaseStopped):
        reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    world.stop(on=False)
    assert reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle) == "released"
    world.stop(on=True)
    assert world.state(sunset) == "released"  # what is released stays so
    assert [leaf["on"] for leaf in world.leaves("ReleaseStopSet")] == [True, False, True]


def test_a_touched_handle_waits_for_the_stop_and_for_a_look_after_it(world: World) -> None:
    sunset = warned(world)
    world.touch(sunset)
    world.go(days=31)
    world.stop(on=True)
    world.go(days=60)
    assert world.state(sunset) == "resting"
    world.plaza.program.pull("/demo/login", account_id=sunset.account_id)
    world.stop(on=False)
    world.go(days=1)
    assert world.state(sunset) == "held"
    assert world.leaves("Released") == []


def test_a_stop_from_the_first_day_has_a_beginning_too(
    database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any
) -> None:
    world = reclaiming.world(tmp_path, *outside, settings, release_stop=True)
    sunset = warned(world)
    world.go(days=70)
    assert world.state(sunset) == "resting"
    world.stop(on=False)
    assert world.state(sunset) == "released"


def test_one_person_lifts_nothing(world: World) -> None:
    world.stop(on=True)
    asked = stop.set_stop(namespace=world.place.id, on=False, by=world.team[0].id)
    assert isinstance(asked, Approval)
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=asked.id, by=world.team[0].id, shown=asked.shown)
    with pytest.raises(AlreadyClosed):
        stop.set_stop(namespace=world.place.id, on=True, by=world.team[0].id)
    with pytest.raises(NotAllowed):
        stop.set_stop(namespace=world.place.id, on=False, by=world.team[2].id)
