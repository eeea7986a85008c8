"""The way of a handle through reclaim: real database, real platform, real mailbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.demo.servers import Program
from tests.flows import reclaiming
from tests.flows.reclaiming import Idle, Mailbox, World

from onym import ports
from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    HandleUnavailable,
    NotAllowed,
    NotFound,
    PlatformUnavailable,
    Refusal,
    ReleaseStopped,
    SecondPersonNeeded,
)
from onym.core.names import canon
from onym.core.sale import PaymentState
from onym.flows import desk, listing, notices, payments, plan, reclaim, stop, transfer
from onym.jobs import notice as notice_jobs
from onym.jobs import reclaim as jobs
from onym.queries import notice as letters
from onym.queries import plan as plan_queries
from onym.queries import reclaim as queries
from onym.store.models import Approval, Handle, Payment, Reclaim, Sale, SaleSlot

pytestmark = pytest.mark.usefixtures("database")
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


def address(world: World) -> str:
    """One that no other test writes to."""
    world.count += 1
    return f"{world.folder.name.replace('_', '-')[:30]}-{world.count}@reclaim.example"


def warned(world: World, **columns: Any) -> Idle:
    """An account with a mail address, an hour and a bit after its first notice."""
    sunset = world.idle(email=address(world), **columns)
    world.adopt(sunset)
    world.go(days=0.1)
    assert world.state(sunset) == "warned"
    return sunset


def deadline(world: World, account: Idle) -> datetime:
    at = world.seen(account).standing.deadline_at
    assert at is not None
    return at


def released(world: World, **columns: Any) -> Idle:
    sunset = warned(world, **columns)
    world.go(days=61)
    assert world.state(sunset) == "released"
    return sunset


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


def list_it(world: World, account: Idle) -> Any:
    return listing.open_house(namespace=world.place.id, handle=account.handle,
                              by=world.team[0].id, price=make.usd(500))  # fmt: skip


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


# Crashes


def test_a_wave_that_died_before_it_was_recorded_tells_nobody_twice(world: World) -> None:
    sunset, quiet = world.idle(email=address(world)), world.idle()
    part = world.adopt(sunset, quiet).planpart_set.get()
    world.go(days=0.04, then=False)
    world.go(to=part.starts_at, then=False)
    wave = notices.open_wave(part_id=part.pk, number=1)
    assert wave is not None
    jobs._mail(wave)
    jobs._platform(wave)  # … and the process is killed here
    assert world.state(quiet) == "held"
    jobs.tell(part_id=part.pk, number=1)
    jobs.tell(part_id=part.pk, number=1)
    assert world.state(quiet) == "warned"
    assert world.notices(sunset) == world.notices(quiet) == ["30"]
    assert len(world.box.letters(sunset.mail or "")) == 1
    assert len(world.leaves("HandleWarned")) == 1


def test_two_workers_that_sent_one_wave_record_it_once(world: World) -> None:
    quiet = world.idle()
    part = world.adopt(quiet).planpart_set.get()
    world.go(to=part.starts_at, then=False)
    one, other = (notices.open_wave(part_id=part.pk, number=1) for _ in range(2))
    assert one is not None
    assert other is not None
    notices.record_wave(part_id=part.pk, number=1, wave=one, platform=jobs._platform(one))
    told_at = world.seen(quiet).standing.warned_at
    world.go(to=world.now() + 5 * SECOND)
    notices.record_wave(part_id=part.pk, number=1, wave=other, platform=jobs._platform(other))
    assert world.seen(quiet).standing.warned_at == told_at
    assert len(world.leaves("HandleWarned")) == 1
    assert world.notices(quiet) == ["30"]


def test_a_mail_whose_answer_was_lost_is_the_same_mail_again(world: World) -> None:
    sunset = world.idle(email=address(world))
    part = world.adopt(sunset).planpart_set.get()
    world.go(to=part.starts_at, then=False)
    wave = notices.open_wave(part_id=part.pk, number=1)
    assert wave is not None
    letter = letters.letter(wave.addressees[0].letter or "")
    assert letter is not None
    notice_jobs._mail(letter)  # sent, but not recorded
    jobs.tell(part_id=part.pk, number=1)
    assert len(world.box.letters(sunset.mail or "")) == 1  # known again by its Message-ID
    assert world.box.copies(sunset.mail or "") == [2]


# Channels


def test_without_any_channel_the_public_list_speaks_and_a_reviewer_confirms(world: World) -> None:
    gone = Idle("999999999", "nobody_there", {})
    row = {"account_id": gone.account_id, "handle": gone.handle}
    world.know(gone, rows=[row])
    world.adopt_known(gone)
    world.go(days=1)
    assert [entry["handle"] for entry in queries.without_channel(namespace=world.place.id)] \
        == [gone.handle]  # fmt: skip
    assert queries.answer(namespace=world.place.id, handle=gone.handle)["stopped_by"] \
        == ["no_channel"]  # fmt: skip
    world.go(days=100)
    assert world.state(gone) == "warned"
    with pytest.raises(NotAllowed):
        reclaim.confirm(
            namespace=world.place.id, handle=gone.handle, by=make.member(world.place).id
        )
    reclaim.confirm(namespace=world.place.id, handle=gone.handle, by=world.team[2].id)
    assert world.state(gone) == "resting"
    with pytest.raises(AlreadyClosed):
        reclaim.confirm(namespace=world.place.id, handle=gone.handle, by=world.team[2].id)


def test_an_account_that_a_wave_missed_has_a_deadline_of_its_own(world: World) -> None:
    sunset, missed = world.idle(), world.idle()
    part = world.adopt(sunset, missed).planpart_set.get()
    world.go(to=part.starts_at, then=False)
    wave = notices.open_wave(part_id=part.pk, number=1)
    assert wave is not None
    fates = jobs._platform(wave) | {missed.account_id: "unknown"}
    notices.record_wave(part_id=part.pk, number=1, wave=wave, platform=fates)
    assert [world.state(a) for a in (sunset, missed)] == ["warned", "held"]
    assert world.leaves("HandleWarned")[0]["count"] == 1
    world.go(days=2)
    assert world.state(missed) == "warned"
    assert deadline(world, missed) > deadline(world, sunset)
    world.go(days=31)
    assert [world.state(a) for a in (sunset, missed)] == ["resting", "resting"]
    assert world.notices(missed) == ["30", "14", "3"]


# Money in escrow (H9)


def bought(world: World, account: Idle) -> tuple[Sale, Payment]:
    """A released handle, listed by the house and taken by a buyer who is about to pay."""
    reclaim.prepare_sale(namespace=world.place.id, handle=account.handle)
    listed = list_it(world, account)
    world.count += 1
    buyer = make.member(world.place, account=f"buyer-{world.count}")
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    return sale, payments.pay(sale_id=sale.id, by=buyer.id, method="pm_card_visa")


def paid(payment: Payment) -> Sale:
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="stripe",
        provider_id=f"pi_{payment.id}",
    )  # fmt: skip
    return Sale.objects.get(pk=payment.sale_id)


def test_a_holder_who_returns_before_the_money_wins(world: World) -> None:
    sunset = released(world)
    sale, payment = bought(world, sunset)
    reclaim.keep_by_link(token=world.link(sunset))
    assert paid(payment).state == "cancelled"
    assert Payment.objects.filter(sale=sale, kind="refund").count() == 1
    assert world.state(sunset) == "held"
    assert not SaleSlot.objects.exists()


def test_a_holder_who_returns_after_the_money_is_told_so(world: World) -> None:
    sunset = released(world)
    _, payment = bought(world, sunset)
    assert paid(payment).state == "delivering"
    with pytest.raises(HandleLocked, match="escrow"):
        reclaim.keep_by_link(token=world.link(sunset))
    assert Sale.objects.get().state == "delivering"
    world.go(days=0.1)
    assert Handle.objects.get().locked_by == Sale.objects.get().id


def test_a_returning_holder_ends_an_open_listing(world: World) -> None:
    sunset = released(world)
    reclaim.prepare_sale(namespace=world.place.id, handle=sunset.handle)
    listed = list_it(world, sunset)
    reclaim.keep_by_link(token=world.link(sunset))
    buyer = make.member(world.place, account="late")
    with pytest.raises(AlreadyClosed):
        listing.buy(listing_id=listed.id, buyer=buyer.id)
    assert not SaleSlot.objects.exists()


def test_keep_and_money_at_the_same_moment_have_one_winner(world: World) -> None:
    accounts = [world.idle(email=address(world)) for _ in range(12)]
    world.adopt(*accounts)
    world.go(days=61)
    pairs = [(account, *bought(world, account)) for account in accounts]

    def at_once(act: Callable[[], object]) -> Refusal | None:
        try:
            act()
        except Refusal as refusal:
            return refusal
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(2) as threads:
        for turn, (account, sale, payment) in enumerate(pairs):
            token = world.link(account)
            acts = [lambda t=token: reclaim.keep_by_link(token=t), lambda p=payment: paid(p)]
            kept, funded = threads.map(at_once, acts if turn % 2 else reversed(acts))
            refused = kept or funded
            sale.refresh_from_db()
            row = Handle.objects.get(pk=sale.handle_id)
            if refused is None:
                assert (row.state, row.locked_by, sale.state) == ("held", None, "cancelled")
                assert sale.payment_set.filter(kind="refund").count() == 1
            else:
                assert isinstance(refused, HandleLocked)
                assert (row.state, row.locked_by) == ("released", sale.id)
                assert sale.state == "delivering"


# Sweeps after sweeps


def test_a_second_sweep_warns_nobody_anew(world: World) -> None:
    sunset = warned(world)
    first = deadline(world, sunset)
    world.go(days=10)
    world.adopt(sunset)
    world.go(days=10)
    assert deadline(world, sunset) == first
    world.go(days=11)
    assert world.state(sunset) == "resting"
    assert world.notices(sunset) == ["30", "14", "3"]


def test_a_second_sweep_that_does_not_find_it_ends_the_first(world: World) -> None:
    sunset, other = warned(world), world.idle()
    world.go(days=10)
    world.know(sunset, other)
    world.adopt_known(other)
    assert world.state(sunset) == "held"


def test_a_keep_counts_for_as_long_as_the_policy_asks_for_silence(world: World) -> None:
    sunset = warned(world)
    reclaim.keep_by_link(token=world.link(sunset))
    world.go(days=10)
    world.adopt(sunset)
    world.go(days=20)
    assert world.state(sunset) == "held"
    assert world.notices(sunset) == ["30"]
    world.go(days=10)
    world.adopt(sunset)
    world.go(days=1)
    assert world.state(sunset) == "warned"
    assert world.notices(sunset) == ["30", "30"]


def test_a_handle_that_somebody_touched_before_is_warned_as_well(world: World) -> None:
    sunset = world.idle(email=address(world))
    world.know(sunset)
    assert world.touch(sunset).state == "held"
    world.adopt(sunset)
    world.go(days=1)
    assert world.state(sunset) == "warned"
    assert world.touch(sunset).state == "warned"


def test_a_handle_that_changed_hands_is_not_touched_by_an_older_sweep(world: World) -> None:
    sunset = world.idle(email=address(world))
    world.know(sunset)
    row = world.touch(sunset)
    world.adopt(sunset)
    Handle.objects.filter(pk=row.pk).update(account_id="1004", changed_hands_at=world.now())
    world.go(days=70)
    assert world.state(sunset) == "held"
    assert world.notices(sunset) == []


# Taking a sweep into use


def test_a_much_followed_account_needs_a_second_person(world: World) -> None:
    star = world.idle(followers=10_000)
    world.know(star)
    asked = plan.adopt(
        namespace=world.place.id,
        stock=world.stock(star),
        by=world.team[0].id,
        starts_at=world.now() + timedelta(days=1),
    )
    assert isinstance(asked, Approval)
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=asked.id, by=world.team[0].id, shown=asked.shown)
    carried = desk.approve(approval_id=asked.id, by=world.team[1].id, shown=asked.shown)
    assert world.leaves("ReleaseAnnounced")[0]["approval"] == asked.id
    world.go(days=2)
    assert world.state(star) == "warned"
    assert plan_queries.progress(plan_id=carried.id) == {"warned": 1}


def test_a_stock_is_used_once_and_only_by_who_may(world: World) -> None:
    sunset = world.idle()
    world.know(sunset)
    made = {"namespace": world.place.id, "stock": world.stock(sunset)}
    soon = world.now() + timedelta(days=1)
    with pytest.raises(NotAllowed):
        plan.adopt(**made, by=world.team[2].id, starts_at=soon)
    plan.adopt(**made, by=world.team[0].id, starts_at=soon)
    with pytest.raises(AlreadyClosed):
        plan.adopt(**made, by=world.team[0].id, starts_at=soon)


def test_the_log_tells_the_sweep_before_the_warning_and_the_warning_before_the_release(
    world: World,
) -> None:
    from onym.core import record as checks
    from onym.store.models import Event

    released(world)
    entries = [bytes(row.entry) for row in Event.objects.order_by("seq")]
    found = {check.name: check for check in checks.check(entries)}
    order = found["sweeps come before warnings, warnings before releases"]
    assert order.status is checks.Status.OK, order.detail
    assert found["entries are well formed"].status is checks.Status.OK


# What is told


def test_the_public_answer_has_codes_and_the_earliest_date_only(world: World) -> None:
    world.stop(on=True)
    sunset = warned(world)
    told = queries.answer(namespace=world.place.id, handle=sunset.handle.upper())
    earliest = deadline(world, sunset) + timedelta(days=30)
    assert told == {
        "handle": canon(sunset.handle, "x"),
        "verdict": "reclaim",
        "reasons": ["idle_login"],
        "policy": {"id": "x-2023", "version": 1},
        "earliest_at": earliest.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "stopped_by": ["release_stop"],
    }
    reclaim.keep_by_link(token=world.link(sunset))
    kept = queries.answer(namespace=world.place.id, handle=sunset.handle)
    assert (kept["verdict"], kept["reasons"], kept["earliest_at"]) == ("keep", ["kept"], None)


def test_another_published_policy_gives_its_own_date_and_why(world: World) -> None:
    from importlib import resources

    text = resources.files("onym.core").joinpath("policies/onym-default.toml").read_text()
    make.document(world.place, kind="policy", name="onym-default", text=text)
    sunset = warned(world)
    told = queries.answer(namespace=world.place.id, handle=sunset.handle, policy_id="onym-default")
    assert told["policy"] == {"id": "onym-default", "version": 1}
    assert (told["verdict"], told["reasons"]) == ("reclaim", ["idle_login"])
    assert datetime.fromisoformat(told["earliest_at"]) > world.now() + timedelta(days=59)
    with pytest.raises(NotFound):
        queries.answer(namespace=world.place.id, handle=sunset.handle, policy_id="none")


def test_an_unknown_handle_is_kept_from_nobody(world: World) -> None:
    told = queries.answer(namespace=world.place.id, handle="never_seen")
    assert (told["verdict"], told["reasons"], told["stopped_by"]) == ("keep", ["not_held"], [])


def test_the_holders_page_shows_what_decides_and_changes_nothing(world: World) -> None:
    sunset = warned(world)
    page = queries.keep_page(token=world.link(sunset), language="en")
    assert (page.handle, page.state, page.kept, page.gone) \
        == (sunset.handle, "warned", False, False)  # fmt: skip
    assert page.deadline_at == deadline(world, sunset)
    assert page.reasons == ["nobody has signed in to the account for a long time"]
    assert world.state(sunset) == "warned"
    reclaim.keep_by_link(token=world.link(sunset))
    assert queries.keep_page(token=world.link(sunset), language="en").kept


def test_a_funnel_counts_every_finding_once(world: World) -> None:
    kept, quiet, famous = world.idle(email=address(world)), world.idle(), world.idle()
    made = world.adopt(kept, quiet, famous)
    assert plan_queries.progress(plan_id=made.id) == {"held": 3}
    world.go(days=1)
    reclaim.keep_by_link(token=world.link(kept))
    world.touch(quiet)
    assert plan_queries.progress(plan_id=made.id) == {"kept": 1, "warned": 2}
    world.go(days=60)
    assert plan_queries.progress(plan_id=made.id) == {"kept": 1, "released": 2}
    shown = plan_queries.countdown(namespace=world.place.id)
    assert [stage["percent"] for stage in shown["plans"][0]["stages"]] == [1, 10, 100]
    assert shown["stop"] is False


def test_a_notice_is_written_in_the_language_of_its_reader(world: World) -> None:
    assert Program  # the outside world is real
    leila = world.idle(email=address(world), locale="ar-EG")
    other = world.idle(email=address(world), locale="tlh")
    world.adopt(leila, other)
    world.go(days=1)
    one, two = (world.box.letters(a.mail or "")[0] for a in (leila, other))
    assert "/ar/keep/" in one["text"]
    assert 'dir="rtl"' in one["html"]
    assert "/en/keep/" in two["text"]
    assert ports.mail()
