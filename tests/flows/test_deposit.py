"""Deposits: charged once, declined, unknown, given up, limited, and taken back by a bank."""

from __future__ import annotations

from typing import Any

import pytest
from tests import make
from tests import world as worlds
from tests.faults import test_outside
from tests.flows.purses import GOOD, agreed, lies, put, sold_to

from onym.core.errors import (
    AlreadyClosed,
    AmountTooLarge,
    CurrencyMismatch,
    InProgress,
    NotFound,
    Refusal,
    StaffMayNot,
)
from onym.core.money import Money
from onym.flows import deposit, inbox, wallet
from onym.ports.payments import Webhook
from onym.store import ids
from onym.store.models import Chargeback, Deposit, Entry, Notice, Posting


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    settings.WALLET = True
    made = worlds.market(settings)
    made.out.own_funds()
    return made


# ---- putting in


def test_a_deposit_is_charged_once_and_lies_in_the_wallet(world: worlds.World) -> None:
    member, _, _ = world.member()
    made = put(world, member, 250)
    assert (made.state, lies(member)) == ("paid", (25_000, 0))
    assert world.out.taken(made.id) == {"charge": 25_000}
    world.check()


def test_a_declined_card_leaves_the_wallet_as_it_was(world: worlds.World) -> None:
    member, _, _ = world.member()
    made = put(world, member, 250, "pm_card_visa_chargeDeclined")
    assert (made.state, made.reason, lies(member)) == ("declined", "generic_decline", (0, 0))
    world.check()


@pytest.mark.parametrize("kind", ["lost", "silent", "error", "error_after", "late"])
def test_an_unknown_deposit_is_asked_about_until_it_is_known_and_taken_once(
    world: worlds.World, kind: str
) -> None:
    member, _, _ = world.member()
    test_outside.impatient(world)
    test_outside.plan(world, "payment_intents.confirm", kind, seconds=0.8)
    made = put(world, member, 250)
    test_outside.forgetting(world, kind)
    worlds.until(lambda: world.drain(hurry=True) == 0 and _known(made))
    world.install()
    assert (made.state, lies(member)) == ("paid", (25_000, 0))
    assert world.out.taken(made.id) == {"charge": 25_000}
    world.check()


def _known(made: Deposit) -> bool:
    made.refresh_from_db()
    return made.state == "paid"


def test_a_webhook_told_a_hundred_times_asks_and_books_once(world: worlds.World) -> None:
    member, _, _ = world.member()
    made = deposit.begin(member=member.id, amount=make.usd(10), method=GOOD)
    hint = Webhook(ids.new("evt"), "payment_intent.succeeded", sale_id=made.id)
    for _ in range(100):
        inbox.payment_hint(namespace="demo", provider="stripe", hint=hint)
    world.drain(hurry=True)
    assert lies(member) == (1_000, 0)
    assert Entry.objects.filter(kind="deposited").count() == 1
    world.check()


def test_a_deposit_that_nobody_confirms_at_the_bank_is_given_up_in_time(
    world: worlds.World,
) -> None:
    member, _, _ = world.member()
    made = put(world, member, 250, "pm_card_threeDSecure2Required")
    assert made.state == "action"
    assert made.action_url.startswith(world.out.provider.base)
    world.pass_time(days=4)
    made.refresh_from_db()
    assert (made.state, lies(member)) == ("cancelled", (0, 0))
    world.check()


def test_its_member_may_give_it_up_before_and_nobody_else(world: worlds.World) -> None:
    member, _, _ = world.member()
    made = put(world, member, 250, "pm_card_threeDSecure2Required")
    with pytest.raises(NotFound):
        deposit.give_up(deposit_id=made.id, by=world.team[0].id)
    deposit.give_up(deposit_id=made.id, by=member.id)
    world.drain(hurry=True)
    made.refresh_from_db()
    assert made.state == "cancelled"
    with pytest.raises(AlreadyClosed):
        deposit.give_up(deposit_id=made.id, by=member.id)


LIMITS = """
id = "house"
version = 1
effective_from = 2020-01-01
[[tier]]
name = "new"
[tier.USD]
card = "500"
deposit = "300"
balance = "400"
wallet = "100"
payout = "50"
"""


def test_limits_hold_by_method_by_deposit_and_by_what_would_lie_there(
    world: worlds.World,
) -> None:
    make.document(world.place, kind="limits", name="house", text=LIMITS)
    member, _, _ = world.member()
    refused = {}
    for whole in (600, 350):
        with pytest.raises(AmountTooLarge) as found:
            deposit.begin(member=member.id, amount=make.usd(whole), method=GOOD)
        refused[whole] = found.value.facts["limit"]
    put(world, member, 300)
    with pytest.raises(AmountTooLarge) as found:
        deposit.begin(member=member.id, amount=make.usd(101), method=GOOD)
    refused[101] = found.value.facts["limit"]
    _, sale = sold_to(world, member, price=150)
    with pytest.raises(AmountTooLarge) as found:
        wallet.pay(sale_id=sale, by=member.id)
    refused["pay"] = found.value.facts["limit"]
    with pytest.raises(AmountTooLarge) as found:
        wallet.pay_out(member=member.id, amount=make.usd(51))
    refused["out"] = found.value.facts["limit"]
    assert refused == {
        600: "card",
        350: "deposit",
        101: "balance",
        "pay": "wallet",
        "out": "payout",
    }


def test_staff_another_currency_and_a_method_without_a_card_are_refused(
    world: worlds.World,
) -> None:
    member, _, _ = world.member()
    with pytest.raises(StaffMayNot):
        deposit.begin(member=world.team[0].id, amount=make.usd(1), method=GOOD)
    with pytest.raises(CurrencyMismatch):
        deposit.begin(member=member.id, amount=Money(100, "EUR"), method=GOOD)
    with pytest.raises(Refusal):
        deposit.begin(member=member.id, amount=make.usd(1), method="wallet")


# ---- a bank takes a deposit back


def taken(world: worlds.World, made: Deposit) -> str:
    found = world.out.provider.pull("/demo/disputes", payment_intent=made.provider_id)
    assert found.ok, found.text
    tell(world, made)
    return str(found.json()["id"])


def tell(world: worlds.World, made: Deposit) -> None:
    hint = Webhook(ids.new("evt"), "charge.dispute.created", intent_id=str(made.provider_id))
    inbox.payment_hint(namespace="demo", provider="stripe", hint=hint)
    world.drain(hurry=True)


def claim() -> int:
    return sum(Posting.objects.filter(account__code="receivable").values_list("minor", flat=True))


def test_a_bank_takes_a_deposit_back_out_of_the_wallet_and_freezes_what_is_left(
    world: worlds.World,
) -> None:
    member, _, _ = world.member(mail="taken@one.example")
    first, _ = put(world, member, 300), put(world, member, 200)
    waiting = wallet.pay_out(member=member.id, amount=make.usd(400))
    dispute = taken(world, first)
    waiting.refresh_from_db()
    assert (waiting.state, lies(member), claim()) == ("withheld", (20_000, 0), 0)
    with pytest.raises(InProgress):
        wallet.pay_out(member=member.id, amount=make.usd(1))
    assert Notice.objects.filter(kind="deposit_charged_back").count() == 1
    world.check()
    assert world.out.provider.pull(f"/demo/disputes/{dispute}/end", outcome="won").ok
    tell(world, first)
    assert lies(member) == (50_000, 0)
    wallet.pay_out(member=member.id, amount=make.usd(1))
    world.check()


def test_what_was_spent_before_the_bank_took_it_is_a_claim_of_the_house(
    world: worlds.World,
) -> None:
    member, _, _ = world.member()
    made = put(world, member, 500)
    _, sale = sold_to(world, member)
    wallet.pay(sale_id=sale, by=member.id)
    dispute = taken(world, made)
    found = Chargeback.objects.get()
    assert (found.source, found.wallet_minor, found.deposit_id) == ("wallet", 8_000, made.id)
    assert (lies(member), claim()) == ((0, 0), -42_000)
    assert world.out.provider.pull(f"/demo/disputes/{dispute}/end", outcome="lost").ok
    tell(world, made)
    assert (lies(member), claim()) == ((0, 0), -42_000)
    assert agreed(sale).state != "refunded"
    world.check_books()
    world.audit()
