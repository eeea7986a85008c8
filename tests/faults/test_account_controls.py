"""Controls of whole accounts that change hands: each seeded bug turns a check red, and the checks
are green without it, which test_whole_accounts.py shows in every run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests import world as worlds
from tests.faults import bugs, handing
from tests.faults import bugs_accounts as accounts
from tests.faults.points import in_a_child

pytestmark = pytest.mark.faults


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


BUGS: list[tuple[Callable[[], None], handing.Check, str]] = [
    (
        accounts.a_hand_over_is_believed_without_proof,
        handing.a_lie_frees_no_money_and_a_late_copy_comes_too_late,
        "settled",
    ),
    (
        accounts.a_hand_over_is_believed_without_proof,
        handing.a_return_that_is_a_lie_gives_no_money_back,
        "'refunded' == 'disputed'",
    ),
    (
        accounts.a_return_is_proved_by_its_fence_alone,
        handing.a_return_that_leaves_the_buyers_address_waits_until_time_is_over,
        "'refunded' == 'disputed'",
    ),
    (
        accounts.the_fence_proves_nothing,
        handing.an_address_that_was_there_before_proves_nothing,
        "inspection",
    ),
    (
        accounts.the_address_in_force_is_not_looked_at,
        handing.another_address_in_force_waits_until_time_is_over,
        "inspection",
    ),
    (
        bugs.money_goes_back_without_a_bar,
        handing.a_lie_frees_no_money_and_a_late_copy_comes_too_late,
        "may still be done",
    ),
    (
        accounts.whoever_has_the_handle_has_the_account,
        handing.what_is_suspended_meanwhile_is_not_handed_over,
        "refunded",
    ),
    (accounts.nothing_is_destroyed, handing.what_an_idle_account_had_is_destroyed, r"\[0, 0, 0\]"),
    (
        accounts.what_both_consented_to_is_destroyed,
        handing.the_old_ways_in_are_dead_and_what_both_consented_to_stays,
        "messages",
    ),
    (
        accounts.it_is_handed_to_whoever_sold_it,
        handing.the_old_ways_in_are_dead_and_what_both_consented_to_stays,
        "email",
    ),
    (accounts.each_asking_is_an_order_of_its_own, handing.a_lost_answer_hands_over_once, "== 2"),
    (
        accounts.the_address_is_looked_up_anew,
        handing.the_address_ordered_is_the_one_asked_for_again,
        "email",
    ),
    (
        accounts.whatever_the_account_holds_is_handed_over,
        handing.what_lost_its_handle_meanwhile_is_not_handed_over,
        "refunded",
    ),
    (
        accounts.an_account_that_may_not_is_handed_over,
        handing.what_is_suspended_meanwhile_is_not_handed_over,
        "holder_unfit",
    ),
    (
        accounts.the_seller_stays_linked,
        handing.links_and_tenure_say_whose_it_is_now,
        "one_member_per_account",
    ),
    (accounts.the_address_is_kept, handing.nothing_of_the_address_is_kept, "address_sealed"),
    (
        accounts.fences_are_the_handles_alone,
        handing.what_is_sold_again_under_another_name_is_the_second_buyers,
        "'refunded' == 'inspection'",
    ),
]


@pytest.mark.parametrize(
    ("bug", "check", "why"), BUGS, ids=lambda part: getattr(part, "__name__", "")
)
def test_a_seeded_bug_turns_its_check_red(
    world: worlds.World, bug: Callable[[], None], check: handing.Check, why: str
) -> None:
    def act() -> None:
        world.install()
        bug()
        check(world)

    with pytest.raises(AssertionError, match="the child ended with 1") as red:
        in_a_child(act, seconds=120)
    assert re.search(why, str(red.value)), red.value
