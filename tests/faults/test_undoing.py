"""A sale that is undone after an appeal: whatever fails, handle and money end on opposite sides."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.faults.test_outside import FAULTS, forgetting, impatient, plan, until_state
from tests.faults.ways import Undoing

from onym.core import record
from onym.core.errors import AlreadyClosed, Refusal
from onym.flows import appeal, listing, log
from onym.queries import audit
from onym.store.models import (
    Appeal,
    BookAccount,
    Event,
    Handle,
    Notice,
    Payout,
    Posting,
    Sale,
    SaleSlot,
    Tenure,
    Transfer,
)


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def state(way: Undoing) -> str:
    return str(Sale.objects.get(pk=way.sold).state)


def balance(code: str) -> int:
    return sum(Posting.objects.filter(account__code=code).values_list("minor", flat=True))


def kinds(member: Any) -> list[str]:
    """What was told to a member after the sale had settled, in order."""
    rows = Notice.objects.filter(address_index__in=member.mailaddress_set.values("address_index"))
    told = list(rows.order_by("made_at", "id").values_list("kind", flat=True))
    return told[told.index("sale_settled") + 1 :] if "sale_settled" in told else told


def is_undone(way: Undoing) -> None:
    """The handle is back, the buyer has all the money, and nothing of the sale is left over."""
    sale = Sale.objects.get(pk=way.sold)
    assert (sale.state, sale.why) == ("refunded", "appeal_upheld")
    assert way.world.out.taken(way.sold) == {"charge": 40_000, "refund": -40_000}
    assert way.world.holds(way.handle) == way.account
    assert (balance("revenue:primary"), balance(f"escrow:{way.sold}")) == (0, 0)
    assert not Payout.objects.exists()
    way.world.check(way.sold)


def stands(way: Undoing, why: str, *, holder: str | None = None) -> None:
    """The sale stays settled, and half of its price is the former holder's."""
    made = Appeal.objects.get(sale_id=way.sold)
    assert state(way) == "settled"
    assert (made.remedy, made.instead_of_return) == ("compensate", why)
    assert made.compensation_minor == Payout.objects.get().amount_minor == 20_000
    row = Handle.objects.get(handle=way.handle)
    assert row.account_id == (holder or Sale.objects.get(pk=way.sold).buyer_account_id)
    assert row.locked_by is None
    assert not SaleSlot.objects.filter(handle=row).exists()
    way.world.check_books()
    way.world.audit()


def test_the_handle_goes_back_then_the_money_and_the_log_shows_why(world: worlds.World) -> None:
    way = ways.undoing(world)
    assert balance("revenue:primary") == 40_000
    way.go()
    is_undone(way)
    row = Handle.objects.get(handle=way.handle)
    held = Tenure.objects.filter(handle=row).order_by("held_from")
    assert [tenure.cause for tenure in held] == ["registered", "primary", "appeal"]
    assert kinds(way.holder) == ["appeal_opened", "appeal_decided", "handle_returned"]
    assert kinds(way.buyer) == ["sale_returning", "sale_undone"]
    log.integrate()
    entries = [bytes(entry) for entry in Event.objects.order_by("seq").values_list("entry", flat=1)]
    (forward,) = [c for c in record.check(entries) if c.name == "sales go forward"]
    assert forward.status == "ok", forward
    with pytest.raises(AlreadyClosed):
        way._appeal()


def test_while_it_goes_back_the_handle_is_locked_and_the_appeal_is_decided(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    world.out.plaza.arm("error", on="reads", times=10_000)
    way.go()
    assert state(way) == "returning"
    row = Handle.objects.get(handle=way.handle)
    assert row.locked_by == way.sold
    assert (balance("revenue:primary"), balance(f"escrow:{way.sold}")) == (40_000, 0)
    world.audit()
    row.cool_off_until = None
    row.save()
    with pytest.raises(Refusal) as refused:
        listing.open_(namespace="demo", handle=way.handle, seller=way.buyer.id, price=make.usd(500))
    assert refused.value.code == "handle_locked"
    world.out.calm()
    world.drain(hurry=True)
    is_undone(way)


MOVES: list[tuple[str, str, int]] = [
    ("cut_before", "move", 1),
    ("cut_after", "move", 1),
    ("cut_after", "move", 2),
    ("error", "move", 2),
    ("error_after", "move", 2),
    ("delay_after", "move", 1),
    ("cut_before", "handle", 2),
    ("error", "handle", 2),
    ("error", "account", 1),
]


@pytest.mark.parametrize(("kind", "on", "times"), MOVES)
def test_whatever_happens_to_the_move_the_sale_is_undone_once(
    world: worlds.World, kind: str, on: str, times: int
) -> None:
    way = ways.undoing(world)
    impatient(world)
    world.out.plaza.arm(kind, on=on, times=times, seconds=0.8)
    way.go()
    until_state(world, way.sold, "refunded")
    world.install()
    is_undone(way)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_around_the_refund_gives_the_buyer_the_money_once(
    world: worlds.World, kind: str
) -> None:
    way = ways.undoing(world)
    impatient(world)
    plan(world, "refunds.create", kind, seconds=0.8)
    way.go()
    forgetting(world, kind)
    until_state(world, way.sold, "refunded")
    world.install()
    is_undone(way)


def test_a_platform_that_was_never_asked_in_time_leaves_the_sale_and_its_price_is_shared(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    world.out.plaza.arm("error", on="reads", times=10_000)
    way.go()
    world.pass_time(days=0.9)
    assert state(way) == "returning"
    world.pass_time(days=0.2)
    assert state(way) == "returning"
    world.out.calm()
    world.drain(hurry=True)
    world.pass_time(days=0.1)
    stands(way, "not_delivered")
    assert world.holds(way.handle) == Handle.objects.get(handle=way.handle).account_id
    assert kinds(way.holder)[-2:] == ["return_failed", "paid_out"]
    assert kinds(way.buyer) == ["sale_returning", "sale_stands"]


def test_a_platform_that_says_moved_and_did_not_leaves_the_sale_behind_a_bar(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    world.out.plaza.arm("lie", on="move")
    way.go()
    assert state(way) == "returning"
    world.pass_time(days=1.2)
    stands(way, "not_delivered")
    assert Transfer.objects.order_by("fence").last().bar_done


def test_an_unknown_move_is_asked_about_beyond_its_time_and_no_money_moves(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    world.out.plaza.arm("error", on="move", times=10_000)
    way.go()
    world.pass_time(days=2)
    assert state(way) == "returning"
    assert world.out.taken(way.sold) == {"charge": 40_000}
    world.out.calm()
    until_state(world, way.sold, "refunded")
    is_undone(way)


@pytest.mark.parametrize("by", ["the platform", "a sale"])
def test_nothing_is_taken_from_a_third_person(world: worlds.World, by: str) -> None:
    way = ways.undoing(world)
    third, account, _ = world.member()
    if by == "the platform":
        took_it(world, way, account)
        way.go()
        stands(way, "holder_gone", holder=account)
        return
    world.pass_time(days=31)
    on = ways.Way("listing", world, way.handle, third, way.buyer, make.usd(400), turn="-on")
    sale = on.agree()
    on.pay(sale)
    world.drain(hurry=True)
    on.accept(sale)
    way.go()
    made = Appeal.objects.get()
    assert (made.remedy, made.instead_of_return) == ("compensate", "moved_on")
    assert Payout.objects.get(member=way.holder).amount_minor == 20_000
    assert world.holds(way.handle) == account
    world.check(sale)


def took_it(world: worlds.World, way: Undoing, account: str) -> None:
    """Somebody else has the handle on the platform, and nobody told the market."""
    buyer = Sale.objects.get(pk=way.sold).buyer_account_id
    said = world.out.platform().move(
        handle=way.handle,
        source=buyer,
        to=account,
        placeholder=None,
        expected_holder=buyer,
        fence=Handle.objects.get(handle=way.handle).fence,
        key=f"elsewhere-{way.handle}",
    )
    assert said.refused, "a fence that was used is stale"
    Handle.objects.filter(handle=way.handle).update(fence=50)
    said = world.out.platform().move(
        handle=way.handle,
        source=buyer,
        to=account,
        placeholder=None,
        expected_holder=buyer,
        fence=50,
        key=f"elsewhere-{way.handle}-again",
    )
    assert said.done, said


def test_a_handle_that_its_buyer_gave_back_already_is_not_moved_and_the_money_follows(
    world: worlds.World,
) -> None:
    way = ways.undoing(world)
    took_it(world, way, way.account)
    way.go()
    is_undone(way)
    assert Transfer.objects.order_by("fence").last().state == "done"


OFF = "set local session_replication_role = replica; "
LIES = [
    ("reversed without an appeal", "update store_appeal set remedy = 'compensate'"),
    ("reversed without an appeal", "update store_appeal set state = 'rejected'"),
    (
        "reversed without an appeal",
        "update store_appeal set decided_at = decided_at - '1d'::interval",
    ),
    ("nothing reversed it", f"{OFF} delete from store_entry where kind = 'reversed'"),
    (
        "never settled",
        f"{OFF} delete from store_posting where entry_id in"
        " (select id from store_entry where kind in ('settled', 'reversed'));"
        " delete from store_entry where kind = 'settled'",
    ),
    (
        "of the reversed settlement",
        f"{OFF} update store_posting set minor = minor + 1 where minor = -40000 and entry_id ="
        " (select id from store_entry where kind = 'reversed')",
    ),
    (
        "settled",
        f"{OFF} update store_sale set state = 'settled', read_back_account_id = buyer_account_id",
    ),
]


def test_the_audit_catches_each_lie_about_a_sale_that_was_undone(world: worlds.World) -> None:
    way = ways.undoing(world)
    way.go()
    is_undone(way)
    for says, lie in LIES:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(lie)
            (found,) = [check for check in audit.look() if check.id == "L9"]
            transaction.set_rollback(True)
        assert found.verdict is audit.Verdict.VIOLATED, lie
        assert says in str(found), (lie, str(found))
    world.audit()


@pytest.mark.parametrize("upheld", ["compensate", "wait"])
def test_under_another_policy_the_sale_is_left_alone(world: worlds.World, upheld: str) -> None:
    way = ways.undoing(world, upheld=upheld)
    way.go()
    assert state(way) == "settled"
    shares = BookAccount.objects.filter(code=f"member:{way.holder.id}:payable")
    assert shares.exists() == (upheld == "compensate")
    assert Appeal.objects.get().instead_of_return == ""
    world.check(way.sold)
    with pytest.raises(AlreadyClosed):
        appeal.open_(namespace="demo", handle=way.handle, by=way.holder.id, text="again")
