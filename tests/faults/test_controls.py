"""Controls: tests that cannot fail show nothing, so each seeded bug must turn a check red.

Every check runs twice in a process of its own: as the program is, and with the bug planted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client
from procrastinate.contrib.django import app
from tests import make
from tests import world as worlds
from tests.faults import (
    bugs,
    bugs_payments,
    test_bar,
    test_kill,
    test_outside,
    test_races,
    test_storm,
    test_wallet,
    ways,
)
from tests.faults.points import in_a_child
from tests.flows import (
    test_chargeback,
    test_checkout,
    test_confirming,
    test_deposit_checkout,
    test_inbox,
    test_payout,
)

from onym.core.errors import OwnHandle
from onym.flows import people
from onym.store.models import BookAccount, Entry, Posting, Sale

pytestmark = pytest.mark.faults
Check = Callable[[worlds.World], None]


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


# ---- checks: those of the other files, and some of what the database and the audit see


def settles_to_the_cent(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    assert world.out.taken(sale) == {"charge": 63_000}
    test_outside.finish(way, sale)


def an_unbalanced_entry_is_refused_or_audited(world: worlds.World) -> None:
    account = BookAccount.objects.create(
        namespace=world.place, code="suspense", currency="USD", balance_minor=None
    )
    with suppress(IntegrityError), transaction.atomic():
        entry = Entry.objects.create(
            namespace=world.place, kind="adjusted", ref="one", at=world.now()
        )
        Posting.objects.create(entry=entry, account=account, minor=5, currency="USD")
    world.audit()


def a_second_live_sale_is_refused_or_audited(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = Sale.objects.get(pk=way.agree())
    sale.pk = "sal_second"
    with suppress(IntegrityError), transaction.atomic():
        sale.save(force_insert=True)
    world.audit()


def kin_are_refused(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    people.kin(one=way.buyer.id, other=way.seller.id, reason="one household")
    with pytest.raises(OwnHandle):
        way.agree()


def a_lost_confirmation_is_charged_once(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    test_outside.plan(world, "payment_intents.confirm", "lost")
    way.pay(sale)
    test_outside.settles_down(world, sale)
    assert world.out.taken(sale) == {"charge": 63_000}


def a_cut_move_is_asked_about(world: worlds.World) -> None:
    test_outside.test_a_move_whose_answer_was_lost_is_asked_for_by_its_own_name_while_reads_are_old(
        world
    )


def a_forged_hint_is_not_believed(world: worlds.World) -> None:
    test_outside.test_a_hint_that_says_paid_is_asked_about_and_not_believed(
        world, Client(), {}, 200
    )


def two_offers_have_one_winner(world: worlds.World) -> None:
    market = test_races._market(world.place)
    test_races.test_of_two_ways_to_a_handle_exactly_one_wins_and_the_loser_is_told_why(
        market, test_races.two_offers
    )


def two_buys_have_one_winner(world: worlds.World) -> None:
    market = test_races._market(world.place)
    test_races.test_of_two_ways_to_a_handle_exactly_one_wins_and_the_loser_is_told_why(
        market, test_races.two_buys
    )


def a_wait_for_the_lock_counts(world: worlds.World) -> None:
    test_races.test_time_spent_waiting_for_the_lock_counts(test_races._market(world.place))


def a_named_write_is_done_once(world: worlds.World) -> None:
    test_kill.test_a_write_whose_answer_was_lost_is_answered_again_and_done_once(world)


def who_was_seen_before_the_money_keeps_the_handle(world: worlds.World) -> None:
    """A released handle whose account was used a minute ago, as no sweep knew."""
    account, handle = world.account()
    make.handle(world.place, handle, state="released", account_id=account)
    buyer, _, _ = world.member()
    way = ways.Way("listing", world, handle, buyer, None, make.usd(400), world.team[0])
    sale = way.agree()
    world.step(60)
    way.pay(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "refunded"
    assert world.holds(handle) == account
    world.check(sale)


def a_lie_frees_no_money(world: worlds.World) -> None:
    test_outside.test_a_platform_that_says_moved_and_did_not_gets_no_money_released(world)


def old_news_gives_no_money_back(world: worlds.World) -> None:
    test_bar.test_old_news_for_the_whole_time_to_deliver_gives_no_money_back(world)


def a_late_copy_moves_nothing(world: worlds.World) -> None:
    test_bar.test_a_copy_of_the_move_that_arrives_after_the_refund_comes_too_late(world)


def an_unknown_move_keeps_the_money(world: worlds.World) -> None:
    test_outside.test_a_platform_that_never_answers_the_move_keeps_the_money_in_escrow_until_it_does(
        world
    )


def a_second_try_after_a_refund_moves_the_handle(world: worlds.World) -> None:
    """The first move was a lie and refunded; the next sale of the same handle has its own fence."""
    way = ways.trade(world, price=400, mail=False)
    first = way.agree()
    world.out.plaza.arm("lie", on="move")
    way.pay(first)
    world.pass_time(days=1.1)
    assert Sale.objects.get(pk=first).state == "refunded"
    buyer, _, _ = world.member()
    again = ways.Way("offer", world, way.handle, buyer, way.seller, make.usd(400), turn="-again")
    second = again.agree()
    again.pay(second)
    test_outside.until_state(world, second, "inspection")
    world.check(first, second)


def a_chargeback_that_is_none_changes_nothing(world: worlds.World) -> None:
    test_chargeback.test_a_webhook_that_tells_of_a_chargeback_that_is_none_changes_nothing(world)


def a_loss_after_the_payout_is_a_claim(world: worlds.World) -> None:
    world.out.own_funds()
    test_chargeback.test_one_that_is_lost_after_the_payout_is_a_claim_of_the_house(world)


def a_frozen_sale_stands_still(world: worlds.World) -> None:
    test_chargeback.test_a_frozen_sale_does_not_move_whatever_its_clocks_and_parties_say(world)


def a_loss_before_the_payout_pays_nobody(world: worlds.World) -> None:
    world.out.own_funds()
    test_chargeback.test_one_that_is_lost_before_the_payout_brings_the_handle_back_and_pays_nobody(
        world, test_chargeback.settled
    )


def a_closed_account_is_paid_once_it_is_ready(world: worlds.World) -> None:
    test_payout.test_a_payout_to_a_closed_account_is_refused_shown_and_paid_once_under_a_new_key(
        world
    )


def a_question_takes_no_money(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale, test_confirming.ASKS)
    world.drain()
    test_confirming.test_the_buyer_is_led_to_the_bank_and_the_sale_goes_on_waiting(
        world, (way, sale)
    )


def a_hundred_copies_are_one_event(world: worlds.World) -> None:
    way = ways.trade(world, price=400, mail=False)
    sale = way.agree()
    client = Client()
    assert [test_inbox.post(client, test_inbox.paid(sale)) for _ in range(100)] == [200] * 100
    assert test_inbox.outcomes() == [("evt_1", 100, "waiting")]


def a_page_paid_on_too_late_takes_nothing(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    test_checkout.test_a_page_paid_on_after_its_sale_has_ended_takes_nothing(
        world, way, way.agree()
    )


def one_of_two_pages_is_captured(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    test_checkout.test_of_two_pages_for_one_sale_at_most_one_is_captured(
        world, way, way.agree(), Client()
    )


def a_forgotten_page_is_let_go(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    test_checkout.test_a_forgotten_page_that_nobody_told_of_is_found_by_the_comparison_and_released(
        world, way, way.agree()
    )


def a_page_that_does_not_fit_is_released(world: worlds.World) -> None:
    settings.WALLET, settings.CARD_ENTRY = True, "checkout"
    test_deposit_checkout.test_a_page_that_was_left_blocks_nothing_and_what_does_not_fit_is_released(
        world, world.member(mail="filler@people.example")[0]
    )


def a_killed_wallet_is_whole(world: worlds.World) -> None:
    settings.WALLET = True
    test_wallet.killed(world, test_wallet.short)


def fifty_presses_take_the_money_once(world: worlds.World) -> None:
    test_storm.test_one_button_pressed_in_fifty_threads_takes_the_money_once(
        world, str, {(200, ""), (202, ""), (409, "in_progress"), (409, "already_closed")}
    )


def statements_may_be_turned_away(world: worlds.World) -> None:
    assert test_storm.turned_away(world, "trade", 60) == 60


def a_charge_delivered_twice_is_taken_once(world: worlds.World) -> None:
    way = ways.trade(world, mail=False)
    sale = way.agree()
    way.pay(sale)
    while job := world._fetch():
        for _ in range(2 if job["task_name"] == "sale.charge" else 0):
            app.tasks[job["task_name"]](**job["args"])
    assert world.out.taken(sale) == {"charge": 63_000}


BUGS: list[tuple[Callable[[], None], Check, str]] = [
    (bugs.books_need_not_balance, an_unbalanced_entry_is_refused_or_audited, "VIOLATED"),
    (
        bugs.a_handle_may_have_two_live_sales,
        a_second_live_sale_is_refused_or_audited,
        "H2 VIOLATED",
    ),
    (
        bugs.the_sale_slot_is_not_looked_at,
        two_offers_have_one_winner,
        r"codes\.count|AssertionError",
    ),
    (bugs.rows_are_read_without_a_lock, two_buys_have_one_winner, "Error"),
    (bugs.the_read_back_is_skipped, a_lie_frees_no_money, "delivering"),
    (bugs.the_clock_is_read_before_the_row_lock, a_wait_for_the_lock_counts, "code"),
    (bugs.each_process_has_a_clock_of_its_own, settles_to_the_cent, "inspection"),
    (bugs.an_unknown_move_is_refunded_without_asking, an_unknown_move_keeps_the_money, "unknown"),
    (
        bugs.a_charge_is_tried_again_under_a_new_key,
        a_lost_confirmation_is_charged_once,
        "126|taken",
    ),
    (bugs.a_move_is_asked_for_again_under_a_new_key, a_cut_move_is_asked_about, "refund"),
    (bugs.the_answer_is_kept_apart_from_the_deed, a_named_write_is_done_once, "still open"),
    (bugs.a_webhook_is_believed, a_forged_hint_is_not_believed, "funding_unknown"),
    (
        bugs_payments.a_chargeback_is_believed_from_the_webhook,
        a_chargeback_that_is_none_changes_nothing,
        "Chargeback|chargeback",
    ),
    (
        bugs_payments.a_chargeback_after_the_payout_is_not_booked,
        a_loss_after_the_payout_is_a_claim,
        "63_?000",
    ),
    (bugs_payments.a_chargeback_freezes_nothing, a_frozen_sale_stands_still, "DID NOT RAISE"),
    (
        bugs_payments.a_lost_chargeback_leaves_the_sale_as_it_was,
        a_loss_before_the_payout_pays_nobody,
        "refunded",
    ),
    (
        bugs_payments.a_chargeback_is_taken_from_escrow_whatever_lies_there,
        a_loss_after_the_payout_is_a_claim,
        "63_?000",
    ),
    (
        bugs_payments.a_refused_payout_is_tried_again_under_its_old_key,
        a_closed_account_is_paid_once_it_is_ready,
        "refused",
    ),
    (bugs_payments.a_question_of_the_bank_counts_as_paid, a_question_takes_no_money, "paid"),
    (
        bugs_payments.whatever_was_agreed_to_on_the_providers_page_is_taken,
        a_page_paid_on_too_late_takes_nothing,
        "paid",
    ),
    (bugs_payments.a_second_page_is_left_alone, one_of_two_pages_is_captured, "requires_capture"),
    (bugs_payments.what_nobody_follows_is_left_alone, a_forgotten_page_is_let_go, "requires_c"),
    (
        bugs_payments.whatever_was_agreed_to_fits_into_the_wallet,
        a_page_that_does_not_fit_is_released,
        "paid",
    ),
    (
        bugs_payments.a_charge_is_named_anew_and_nobody_looks_for_the_first,
        a_killed_wallet_is_whole,
        "killed at",
    ),
    (bugs_payments.every_delivery_is_news, a_hundred_copies_are_one_event, "evt_1"),
    (bugs.kin_may_trade, kin_are_refused, "DID NOT RAISE"),
    (bugs.the_commission_is_a_cent_too_much, settles_to_the_cent, "taken"),
    (bugs.the_last_look_is_skipped, who_was_seen_before_the_money_keeps_the_handle, "refunded"),
    (
        bugs.every_move_has_the_same_fence,
        a_second_try_after_a_refund_moves_the_handle,
        "one_transfer_per_fence",
    ),
    (bugs.money_goes_back_without_a_bar, old_news_gives_no_money_back, "refund"),
    (bugs.the_bar_never_reaches_the_platform, a_late_copy_moves_nothing, "stale"),
    (bugs.rows_are_read_without_a_lock, fifty_presses_take_the_money_once, "500|count"),
    (bugs.a_failed_job_is_forgotten, statements_may_be_turned_away, "expired|funding|assert"),
    (
        bugs.a_job_does_not_look_whether_it_was_done,
        a_charge_delivered_twice_is_taken_once,
        "126|taken",
    ),
]
CHECKS = list({check: None for _, check, _ in BUGS})


def name(part: Any) -> str:
    return part.__name__ if callable(part) else ""


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_a_check_is_green_without_a_bug(world: worlds.World, check: Check) -> None:
    assert in_a_child(lambda: _run(world, check, lambda: None), seconds=300) == 0


@pytest.mark.parametrize(("bug", "check", "why"), BUGS, ids=name)
def test_a_seeded_bug_turns_its_check_red(
    world: worlds.World, bug: Callable[[], None], check: Check, why: str
) -> None:
    with pytest.raises(AssertionError, match="the child ended with 1") as red:
        in_a_child(lambda: _run(world, check, bug), seconds=300)
    assert re.search(why, str(red.value)), red.value


def _run(world: worlds.World, check: Check, bug: Callable[[], None]) -> None:
    world.install()
    bug()
    check(world)
