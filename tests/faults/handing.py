"""Whole accounts on their way, and what must be true of each: every check runs as a test of its
own (test_whole_accounts.py) and, with a bug planted, as a control (test_account_controls.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tests import make
from tests import world as worlds
from tests.demo.plaza import fresh_key, move
from tests.faults import ways
from tests.faults.ways import Way

from onym.flows import dispute
from onym.flows import sale as sales
from onym.ports.account import address_digest
from onym.store.models import Event, Handle, Kinship, Link, MailAddress, Sale, Tenure, Transfer

Check = Callable[[worlds.World], None]


def private(world: worlds.World, account: str) -> Any:
    """What only the holder sees on the platform."""
    return world.out.plaza.program.get(f"/demo/accounts/{account}").json()


def account_of(way: Way) -> str:
    """The account that is sold."""
    return Handle.objects.get(handle=way.handle).account_id or ""


def delivered(way: Way) -> Sale:
    """Agreed, paid and handed over, as far as the platform lets it."""
    made = way.agree()
    way.pay(made)
    way.world.drain(hurry=True)
    way.world.pass_time(days=0.1)
    return Sale.objects.select_related("handle").get(pk=made)


def settled(way: Way) -> Sale:
    """Delivered, accepted and paid out."""
    sale = delivered(way)
    assert sale.state == "inspection", sale.why
    way.accept(sale.id)
    way.world.drain(hurry=True)
    way.world.check(sale.id)
    return sale


def mail_of(member: Any) -> str:
    return str(member.mailaddress_set.get(replaced_at=None).address)


class Port:
    """A platform's port that does as the real one, but for what a test changes."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


# ---- what passes over and what ends


def the_old_ways_in_are_dead_and_what_both_consented_to_stays(world: worlds.World) -> None:
    way = ways.account(world)
    account = account_of(way)
    before, seen = private(world, account), world.out.platform().account(account_id=account)
    sale = delivered(way)
    after = private(world, account)
    assert after["email"] == mail_of(way.buyer)
    assert (after["credentials"], after["sessions"]) == (before["credentials"] + 1, 0)
    assert (after["messages"], after["contacts"]) == (before["messages"], before["contacts"])
    now = world.out.platform().account(account_id=account)
    assert {k: now[k] for k in ("account_id", "handle", "created_at", "posts")} == {
        k: seen[k] for k in ("account_id", "handle", "created_at", "posts")
    }
    assert (sale.state, sale.consented_at is None) == ("inspection", False)
    way.accept(sale.id)
    world.pass_time(days=3.1)
    assert world.out.taken(sale.id) == {"charge": 42_000, "transfer": -40_000}
    world.check(sale.id)


def what_an_idle_account_had_is_destroyed(world: worlds.World) -> None:
    way = ways.idle_account(world)
    before = private(world, account_of(way))
    assert min(before[name] for name in ("messages", "contacts", "sessions")) > 0
    sale = delivered(way)
    after = private(world, sale.buyer_account_id)
    assert [after[name] for name in ("messages", "contacts", "sessions")] == [0, 0, 0]
    assert after["email"] == mail_of(way.buyer)
    assert world.holds(way.handle) == account_of(way) == sale.buyer_account_id
    assert (sale.share_minor, sale.kind) == (0, "primary")
    way.accept(sale.id)
    world.drain(hurry=True)
    leaf = Event.objects.get(type="TransferReadBack")
    assert b'"wiped":["messages","contacts"]' in bytes(leaf.entry)
    world.check(sale.id)


def links_and_tenure_say_whose_it_is_now(world: worlds.World) -> None:
    way = ways.account(world)
    sale = delivered(way)
    account = sale.buyer_account_id
    old = Link.objects.get(member=way.seller, account_id=account)
    assert (old.unlinked_at is None, old.is_primary, old.passed_on) == (False, False, True)
    assert Link.objects.get(member=way.seller, unlinked_at=None).is_primary
    assert Link.objects.filter(member=way.buyer, account_id=account, unlinked_at=None).exists()
    assert not Kinship.objects.exists(), "who buys an account is not one with who sold it"
    first, second = Tenure.objects.filter(handle=sale.handle).order_by("held_from")
    assert (first.account_id, second.account_id, second.cause) == (account, account, "trade")


def nothing_of_the_address_is_kept(world: worlds.World) -> None:
    way = ways.account(world)
    delivered(way)
    order = Transfer.objects.get()
    assert (bytes(order.address_sealed), order.hands_to_id) == (b"", way.buyer.id)


# ---- what is not handed over


class Suspending(Port):
    """Every account is suspended, as the platform tells it now."""

    def account(self, *, account_id: str) -> Any:
        return self._port.account(account_id=account_id) | {"status": "suspended"}


def what_is_suspended_meanwhile_is_not_handed_over(world: worlds.World) -> None:
    way = ways.account(world)
    sale = way.agree()
    world.install(platform=Suspending(world.out.platform()))
    way.pay(sale)
    world.drain(hurry=True)
    found = Sale.objects.get(pk=sale)
    assert (found.state, found.why) == ("refunded", "holder_unfit")
    assert private(world, account_of(way))["credentials"] == 1
    world.check(sale)


class Leaving(Port):
    """Between the last look and the order the seller leaves with the handle, to another account."""

    def __init__(self, port: Any, *, handle: str, to: str) -> None:
        super().__init__(port)
        self._handle, self._to = handle, to

    def hand_over(self, **asked: Any) -> Any:
        if self._port.holder(handle=self._handle).account_id != self._to:
            assert move(self._port, self._handle, asked["account_id"], self._to).done
        return self._port.hand_over(**asked)


def what_lost_its_handle_meanwhile_is_not_handed_over(world: worlds.World) -> None:
    way = ways.account(world)
    account, (elsewhere, _) = account_of(way), world.account()
    sale = way.agree()
    world.install(platform=Leaving(world.out.platform(), handle=way.handle, to=elsewhere))
    way.pay(sale)
    world.drain(hurry=True)
    found = Sale.objects.get(pk=sale)
    assert (found.state, found.why) == ("refunded", "not_delivered")
    assert private(world, account)["credentials"] == 1
    assert world.out.taken(sale) == {"charge": 42_000, "refund": -42_000}
    world.audit()


# ---- what a platform says and does not do


def a_lie_frees_no_money_and_a_late_copy_comes_too_late(world: worlds.World) -> None:
    way = ways.account(world)
    made = way.agree()
    world.out.plaza.arm("lie", on="hand-over")
    way.pay(made)
    world.drain(hurry=True)
    order, address = Transfer.objects.get(), mail_of(way.buyer)
    world.pass_time(days=4)
    sale = Sale.objects.get(pk=made)
    assert (sale.state, sale.why) == ("refunded", "not_delivered")
    late = world.out.platform().hand_over(
        account_id=order.to, email=address, fence=order.fence, key=fresh_key(), handle=way.handle
    )
    assert late.facts.get("code") == "stale_fence", "the order may still be done"
    assert private(world, order.to)["credentials"] == 1
    world.check(made)


class Foreseen(Port):
    """A platform on which the address was the buyer's before anything was handed over."""

    def __init__(self, port: Any, *, address: str) -> None:
        super().__init__(port)
        self._digest = address_digest(address)

    def handed_over(self, *, account_id: str) -> Any:
        told = self._port.handed_over(account_id=account_id)
        return dataclasses.replace(told, address=self._digest)


def an_address_that_was_there_before_proves_nothing(world: worlds.World) -> None:
    way = ways.account(world)
    made = way.agree()
    world.install(platform=Foreseen(world.out.platform(), address=mail_of(way.buyer)))
    world.out.plaza.arm("lie", on="hand-over")
    way.pay(made)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=made).state == "delivering"
    link = Link.objects.get(account_id=account_of(way), unlinked_at=None)
    assert link.member_id == way.seller.id


class Half(Port):
    """A platform that notes the hand-over and leaves the old address in force."""

    def __init__(self, port: Any, *, leaves: str) -> None:
        super().__init__(port)
        self._left = address_digest(leaves)

    def handed_over(self, *, account_id: str) -> Any:
        told = self._port.handed_over(account_id=account_id)
        return dataclasses.replace(told, address=self._left)


def another_address_in_force_waits_until_time_is_over(world: worlds.World) -> None:
    way = ways.account(world)
    made = way.agree()
    world.install(platform=Half(world.out.platform(), leaves=mail_of(way.seller)))
    way.pay(made)
    world.drain(hurry=True)
    sale = Sale.objects.get(pk=made)
    assert (sale.state, sale.delivery_until is None) == ("delivering", False)
    world.pass_time(to=sale.delivery_until)
    sale.refresh_from_db()
    assert (sale.state, sale.closed_at) == ("inspection", None), "a person looks first"


# ---- once, and to whom it was sold


def a_lost_answer_hands_over_once(world: worlds.World) -> None:
    way = ways.account(world)
    world.out.plaza.arm("cut_after", on="hand-over")
    sale = delivered(way)
    assert private(world, sale.buyer_account_id)["credentials"] == 2
    assert sale.state == "inspection"


def the_address_ordered_is_the_one_asked_for_again(world: worlds.World) -> None:
    """The buyer's address is gone while nobody knows whether the order was done."""
    way = ways.account(world)
    ordered = mail_of(way.buyer)
    made = way.agree()
    world.out.plaza.arm("error", on="hand-over", times=50)
    way.pay(made)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=made).state == "delivery_unknown"
    MailAddress.objects.filter(member=way.buyer).update(replaced_at=world.now())
    world.out.calm()
    world.pass_time(days=0.2)
    assert private(world, account_of(way))["email"] == ordered
    assert Sale.objects.get(pk=made).state == "inspection"
    world.check(made)


def what_is_sold_again_under_another_name_is_the_second_buyers(world: worlds.World) -> None:
    """Fences are the account's as much as the handle's: the one that it is called now is new."""
    way = ways.account(world)
    Handle.objects.filter(handle=way.handle).update(fence=7)
    account = settled(way).buyer_account_id
    Link.objects.filter(member=way.buyer).update(is_primary=False)
    Link.objects.filter(member=way.buyer, account_id=account).update(is_primary=True)
    name = ways.trade(world, price=400, mail=False)
    name.buyer = way.buyer
    settled(name)
    assert world.holds(name.handle) == account
    world.pass_time(days=31)
    third, _, _ = world.member(mail="third@one.example")
    again = Way("offer", world, name.handle, third, way.buyer, way.price, term=way.term, turn="-2")
    settled(again)
    assert private(world, account)["email"] == "third@one.example"
    link = Link.objects.get(account_id=account, unlinked_at=None)
    assert link.member_id == third.id


# ---- and back again


def disputed(way: Way) -> Sale:
    """Delivered, and then decided for the buyer: the account is on its way back."""
    sale = delivered(way)
    sales.dispute(sale_id=sale.id, by=way.buyer.id)
    judge = make.member(way.world.place, roles="reviewer")
    dispute.decide(sale_id=sale.id, by=judge.id, outcome="return")
    return sale


def it_goes_back_before_the_money(world: worlds.World) -> None:
    way = ways.account(world)
    sale = disputed(way)
    world.drain(hurry=True)
    sale.refresh_from_db()
    assert (sale.state, sale.why) == ("refunded", "dispute_upheld")
    assert private(world, sale.buyer_account_id)["email"] == mail_of(way.seller)
    assert Link.objects.filter(member=way.seller, unlinked_at=None).count() == 2
    world.check(sale.id)


def a_return_that_is_a_lie_gives_no_money_back(world: worlds.World) -> None:
    way = ways.account(world)
    sale = disputed(way)
    world.out.plaza.arm("lie", on="hand-over", times=50)
    world.drain(hurry=True)
    assert private(world, sale.buyer_account_id)["email"] == mail_of(way.buyer)
    expect_unpaid(world, sale)
    world.out.calm()
    world.drain(hurry=True)
    assert private(world, sale.buyer_account_id)["email"] == mail_of(way.seller)
    assert Sale.objects.get(pk=sale.id).state == "refunded"
    world.check(sale.id)


def a_return_that_leaves_the_buyers_address_waits_until_time_is_over(world: worlds.World) -> None:
    way = ways.account(world)
    sale = disputed(way)
    world.install(platform=Half(world.out.platform(), leaves=mail_of(way.buyer)))
    world.drain(hurry=True)
    expect_unpaid(world, sale)
    until = Sale.objects.get(pk=sale.id).delivery_until
    world.pass_time(to=until)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale.id).state == "refunded"


def expect_unpaid(world: worlds.World, sale: Sale) -> None:
    """Else the buyer would have the account and the money."""
    assert Sale.objects.get(pk=sale.id).state == "disputed"
    assert world.out.taken(sale.id) == {"charge": 42_000}


CHECKS: tuple[Check, ...] = (
    the_old_ways_in_are_dead_and_what_both_consented_to_stays,
    what_an_idle_account_had_is_destroyed,
    links_and_tenure_say_whose_it_is_now,
    nothing_of_the_address_is_kept,
    what_is_suspended_meanwhile_is_not_handed_over,
    what_lost_its_handle_meanwhile_is_not_handed_over,
    a_lie_frees_no_money_and_a_late_copy_comes_too_late,
    an_address_that_was_there_before_proves_nothing,
    another_address_in_force_waits_until_time_is_over,
    a_lost_answer_hands_over_once,
    the_address_ordered_is_the_one_asked_for_again,
    what_is_sold_again_under_another_name_is_the_second_buyers,
    it_goes_back_before_the_money,
    a_return_that_is_a_lie_gives_no_money_back,
    a_return_that_leaves_the_buyers_address_waits_until_time_is_over,
)
