"""Controls for the PDS: each seeded bug of its port turns a check red, and only the bug does."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from tests.demo import pds as servers
from tests.demo.line import laid
from tests.faults import bugs, bugs_accounts, test_pds, ways
from tests.faults.points import in_a_child

from onym.store.models import Handle, Sale

pytestmark = pytest.mark.faults
Check = Callable[[servers.World], None]


@pytest.fixture
def world(database: str, settings: Any) -> servers.World:
    return servers.market(settings)


def a_move_cut_short_is_ended(world: servers.World) -> None:
    """The second request fails; what is asked again goes on from there."""
    way = test_pds.trade(world)
    sale = way.agree()
    pds = servers.running()
    with laid(pds.base) as line:
        world.install(platform=pds.platform(base=line.base))
        line.between(lambda: line.arm("error", on=test_pds.RENAME), on=test_pds.RENAME)
        way.pay(sale)
        world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "inspection"
    world.check(sale)


def a_stranger_does_not_keep_it(world: servers.World) -> None:
    pds = servers.running()
    with laid(pds.base) as line:
        world.install(platform=pds.platform(base=line.base))
        test_pds.test_a_stranger_who_takes_the_name_between_the_two_steps_does_not_keep_it(
            world, pds, line, test_pds.signs_up
        )


def one_of_two_orders_moves_it(world: servers.World) -> None:
    """The second order comes while the first has renamed the holder and not assigned yet."""
    pds = servers.running()
    seller, handle = pds.sign_up()
    buyers = [pds.sign_up()[0], pds.sign_up()[0]]

    def order(place: int, base: str) -> Any:
        try:
            return pds.platform(base=base, patience=0.3).move(
                handle=handle,
                source=None if place else seller,
                to=buyers[place],
                placeholder=None,
                expected_holder=None if place else seller,
                fence=place + 1,
                key=f"{handle}-{place}",
            )
        finally:
            connections.close_all()

    said = []
    with laid(pds.base) as line, ThreadPoolExecutor(1) as threads:

        def second() -> None:
            said.append(threads.submit(order, 1, pds.base).result(timeout=60))

        line.between(second, on=test_pds.RENAME)
        said.append(order(0, line.base))
    assert [outcome.answer.value for outcome in said] == ["unknown", "done"], said
    assert pds.resolve(handle) == buyers[0]


def a_lost_assignment_is_heard_of(world: servers.World) -> None:
    pds = servers.running()
    with laid(pds.base) as line:
        world.install(platform=pds.platform(base=line.base))
        test_pds.test_a_request_of_the_move_whose_answer_is_lost_is_settled_by_reading(
            world, pds, line, "cut_after", 2
        )


def a_bought_account_opens_to_nobody_who_had_it(world: servers.World) -> None:
    way, pds = ways.account(world), servers.running()
    did = Handle.objects.get(handle=way.handle).account_id or ""
    passwords = pds.passwords[did], pds.app_password(did)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    assert (Sale.objects.get(pk=sale).state, pds.mail_of(did)) == (
        "inspection",
        str(way.buyer.mailaddress_set.get().address),
    )
    still_open = [place for place, word in enumerate(passwords) if pds.signs_in(did, word)]
    assert still_open == [], "0 is the password, 1 the one of an app"
    world.check(sale)


BUGS: list[tuple[Callable[[], None], Check, str]] = [
    (bugs.stages_are_not_written_down, a_move_cut_short_is_ended, "refund|deliver"),
    (bugs.an_undone_move_gives_nothing_back, a_stranger_does_not_keep_it, "did:plc|user-"),
    (bugs.nobody_waits_for_a_turn, one_of_two_orders_moves_it, "unknown"),
    (bugs.a_lost_assignment_is_not_looked_for, a_lost_assignment_is_heard_of, "done"),
    (
        bugs_accounts.old_passwords_and_sessions_live_on,
        a_bought_account_opens_to_nobody_who_had_it,
        r"\[0, 1\] == \[\]",
    ),
    (
        bugs_accounts.app_passwords_live_on,
        a_bought_account_opens_to_nobody_who_had_it,
        r"\[1\] == \[\]",
    ),
    (
        bugs_accounts.the_address_is_not_replaced_and_not_read_back,
        a_bought_account_opens_to_nobody_who_had_it,
        "'inspection'",
    ),
]


def name(part: Any) -> str:
    return part.__name__ if callable(part) else ""


@pytest.mark.parametrize("check", [check for _, check, _ in BUGS], ids=name)
def test_a_check_is_green_without_a_bug(world: servers.World, check: Check) -> None:
    assert in_a_child(lambda: check(world), seconds=120) == 0


@pytest.mark.parametrize(("bug", "check", "why"), BUGS, ids=name)
def test_a_seeded_bug_turns_its_check_red(
    world: servers.World, bug: Callable[[], None], check: Check, why: str
) -> None:
    with pytest.raises(AssertionError, match="the child ended with 1") as red:
        in_a_child(lambda: _with(bug, check, world), seconds=120)
    assert re.search(why, str(red.value)), red.value


def _with(bug: Callable[[], None], check: Check, world: servers.World) -> None:
    bug()
    check(world)
