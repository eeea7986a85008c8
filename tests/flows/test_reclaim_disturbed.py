"""Reclaim disturbed: by crashes, missing channels, money under way and later sweeps."""

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
from tests.flows.warning import SECOND, address, bought, deadline, list_it, paid, released, warned

from onym import ports
from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    NotAllowed,
    NotFound,
    Refusal,
    SecondPersonNeeded,
)
from onym.core.names import canon
from onym.flows import desk, listing, notices, plan, reclaim
from onym.jobs import notice as notice_jobs
from onym.jobs import reclaim as jobs
from onym.queries import notice as letters
from onym.queries import plan as plan_queries
from onym.queries import reclaim as queries
from onym.store.models import Approval, Handle, Payment, Reclaim, Sale, SaleSlot

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Mailbox]]:
    with reclaiming.outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def world(database: Any, settings: Any, outside: tuple[Any, Mailbox], tmp_path: Any) -> World:
    return reclaiming.world(tmp_path, *outside, settings)


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


def test_a_platform_that_answers_nobody_is_asked_again_and_sets_nobody_apart(
    world: World,
) -> None:
    quiet = world.idle()
    part = world.adopt(quiet).planpart_set.get()
    world.go(to=part.starts_at, then=False)
    world.plaza.arm("cut_after", on="writes", times=jobs.ASK_AGAIN)  # told, but no answer came
    jobs.tell(part_id=part.pk, number=1)
    assert world.state(quiet) == "held"
    assert not Reclaim.objects.exists()
    jobs.tell(part_id=part.pk, number=1)
    assert world.state(quiet) == "warned"
    assert world.notices(quiet) == ["30"]


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
    from onym.core.leaves import Status
    from onym.store.models import Event

    released(world)
    entries = [bytes(row.entry) for row in Event.objects.order_by("seq")]
    found = {check.name: check for check in checks.check(entries)}
    order = found["sweeps come before warnings, warnings before releases"]
    assert order.status is Status.OK, order.detail
    assert found["entries are well formed"].status is Status.OK


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
    shown = plan_queries.countdown(namespace=world.place.id)
    assert [stage["percent"] for stage in shown["plans"][0]["stages"]] == [1, 10, 100]
    assert shown["stop"] is False
    world.go(days=60)
    assert plan_queries.progress(plan_id=made.id) == {"kept": 1, "released": 2}
    announced = plan_queries.countdown(namespace=world.place.id)["plans"]
    assert announced == [], "nothing is left to be released"


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
