"""The way of a sale through its flows, on a real database, with given answers of the outside."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from tests import make

from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    InProgress,
    NotAllowed,
    OwnHandle,
    Refusal,
    SaleSlotTaken,
    StaffMayNot,
)
from onym.core.sale import PaymentState, PayoutState, State
from onym.core.transfer import Look
from onym.core.transfer import State as TransferState
from onym.flows import clock, ledger, listing, offer, payments, record, sale, transfer
from onym.queries import audit
from onym.store import clock as store_clock
from onym.store.models import (
    BookAccount,
    Event,
    Handle,
    Member,
    Payment,
    Payout,
    Posting,
    Sale,
    SaleSlot,
    Tenure,
)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    return make.namespace()


@pytest.fixture
def people(place: Any) -> tuple[Any, Any]:
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    buyer = make.member(place, account="acc-nadia", mail="buyer@two.example")
    make.handle(place, "moon", account_id="acc-moon")
    return seller, buyer


def sold(place: Any, people: tuple[Any, Any], price: float = 400) -> Sale:
    """A listing of @moon taken by the buyer."""
    seller, buyer = people
    listed = listing.open_(
        namespace=place.id, handle="moon", seller=seller.id, price=make.usd(price)
    )
    return listing.buy(listing_id=listed.id, buyer=buyer.id)


def paid(made: Sale) -> Sale:
    payment = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id,
        state=PaymentState.PAID,
        provider="stripe",
        provider_id=f"pi_{payment.id}",
    )
    return Sale.objects.get(pk=made.id)


def moved(made: Sale) -> Sale:
    order = made.transfer_set.get()
    verdict = transfer.look(
        transfer_id=order.id, holder="acc-moon", last_seen=None, vacated="nadia"
    )
    assert verdict is Look.GO
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    assert transfer.record_read_back(transfer_id=order.id, holder="acc-nadia")
    return Sale.objects.get(pk=made.id)


def step(seconds: float) -> None:
    from onym.store.clock import now

    clock.set_ahead(to=now() + timedelta(seconds=seconds))


def balance(code: str) -> int:
    return sum(Posting.objects.filter(account__code=code).values_list("minor", flat=True))


def looked(made: Sale, holder: str | None) -> Look:
    order = made.transfer_set.get()
    return transfer.look(transfer_id=order.id, holder=holder, last_seen=None, vacated="nadia")


def test_what_the_buyer_holds_before_it_was_asked_for_is_delivered_and_nothing_is_refunded(
    place: Any, people: tuple[Any, Any]
) -> None:
    """The seller was quicker than the market, by the platform's own ways (H4)."""
    made = paid(sold(place, people))
    assert looked(made, "acc-nadia") is Look.THERE
    made.refresh_from_db()
    assert (made.state, made.read_back_account_id) == (State.INSPECTION, "acc-nadia")
    assert Handle.objects.get(handle="moon").account_id == "acc-nadia"
    assert made.transfer_set.get().state == TransferState.DONE
    sale.accept(sale_id=made.id, by=made.buyer_id)
    assert not made.payment_set.filter(kind="refund").exists()
    assert [str(c) for c in audit.run() if c.verdict is audit.Verdict.VIOLATED] == []


@pytest.mark.parametrize(
    ("holder", "state"), [("acc-moon", "refunding"), ("acc-nadia", "inspection")]
)
def test_when_time_to_deliver_is_over_money_goes_back_on_a_look_alone(
    place: Any, people: tuple[Any, Any], holder: str, state: str
) -> None:
    made = paid(sold(place, people))
    clock.set_ahead(to=made.delivery_until)
    for _ in range(3):
        transfer.delivery_over(sale_id=made.id)
    made.refresh_from_db()
    assert (made.state, made.read_back_at) == (State.DELIVERING, None)
    assert len(waiting("transfer.move")) == 1
    looked(made, holder)
    made.refresh_from_db()
    assert made.state == state
    assert made.read_back_account_id == holder


def waiting(task: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select scheduled_at from procrastinate_jobs where task_name = %s and status = 'todo'",
            [task],
        )
        return [at for (at,) in cursor.fetchall()]


def test_a_job_that_waits_for_its_time_is_brought_forward_and_none_is_added(place: Any) -> None:
    for _ in range(2):
        record.hasten("transfer.move", lock="trf_1", transfer_id="trf_1")
    record.defer("transfer.move", lock="trf_2", in_seconds=300, transfer_id="trf_2")
    record.hasten("transfer.move", lock="trf_2", transfer_id="trf_2")
    assert waiting("transfer.move") == [None, None]


def test_a_trade_goes_from_listing_to_payout_to_the_cent(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = sold(place, people)
    assert (made.price_minor, made.commission_minor, made.gross_minor) == (40_000, 2_000, 42_000)
    done = moved(paid(made))
    assert done.state == State.INSPECTION
    sale.accept(sale_id=made.id, by=made.buyer_id)
    settled = Sale.objects.get(pk=made.id)
    assert settled.state == State.SETTLED
    assert balance(f"escrow:{made.id}") == 0
    assert balance("revenue:commission") == 2_000
    payable = BookAccount.objects.get(code=f"member:{made.seller_id}:payable")
    assert payable.balance_minor == balance(payable.code) == 40_000
    row = Handle.objects.get(handle="moon")
    assert (row.account_id, row.locked_by, row.state) == ("acc-nadia", None, "held")
    assert not SaleSlot.objects.exists()
    tenures = Tenure.objects.filter(handle=row).order_by("held_from")
    assert [t.account_id for t in tenures] == ["acc-moon", "acc-nadia"]
    types = [e.type for e in Event.objects.order_by("seq")]
    assert types == ["ListingOpened", "SaleAgreed", "SaleFunded", "TransferReadBack", "SaleSettled"]

    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    step(24 * 3600)
    ledger.pay_out(payout_id=payout.id)
    for _ in range(2):  # told twice, booked once
        ledger.record_payout(
            payout_id=payout.id, state=PayoutState.DONE, provider="stripe", provider_id="tr_1"
        )
    assert balance(payable.code) == 0
    assert balance("world:stripe") == -42_000 + 40_000


def test_a_dearer_trade_cools_off_and_either_party_may_end_it(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = paid(sold(place, people, price=600))
    assert made.state == State.COOLING
    transfer.cooled(sale_id=made.id)
    assert Sale.objects.get(pk=made.id).state == State.COOLING
    sale.cancel(sale_id=made.id, by=made.seller_id)
    assert Sale.objects.get(pk=made.id).state == State.REFUNDING
    refund = Payment.objects.get(kind="refund")
    payments.record_refund(
        payment_id=refund.id, state=PaymentState.DONE, provider="stripe", provider_id="re_1"
    )
    assert Sale.objects.get(pk=made.id).state == State.REFUNDED
    assert balance(f"escrow:{made.id}") == balance("world:stripe") == 0
    assert Handle.objects.get(handle="moon").account_id == "acc-moon"
    assert not SaleSlot.objects.exists()


def test_a_declined_card_leaves_the_sale_to_be_paid_again(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = sold(place, people)
    first = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa_chargeDeclined")
    with pytest.raises(InProgress):
        payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    payments.record_charge(
        payment_id=first.id, state=PaymentState.DECLINED, provider="stripe", provider_id="pi_1"
    )
    assert Sale.objects.get(pk=made.id).state == State.FUNDING
    assert paid(Sale.objects.get(pk=made.id)).state == State.DELIVERING


def test_money_that_arrives_after_the_time_to_pay_goes_back(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = sold(place, people)
    payment = payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.UNKNOWN, provider="stripe", provider_id=None
    )
    step(72 * 3600 + 1)
    payments.funding_over(sale_id=made.id)
    assert Sale.objects.get(pk=made.id).state == State.FUNDING_UNKNOWN
    with transaction_of(made) as row:
        sale.yield_to_holder(row=row, now=made.agreed_at)
    assert Sale.objects.get(pk=made.id).state == State.CANCELLED
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="stripe", provider_id="pi_1"
    )
    refund = Payment.objects.get(kind="refund")
    payments.record_refund(
        payment_id=refund.id, state=PaymentState.DONE, provider="stripe", provider_id="re_1"
    )
    assert balance(f"escrow:{made.id}") == balance("world:stripe") == 0


def transaction_of(made: Sale) -> Any:
    from contextlib import contextmanager

    from django.db import transaction

    from onym.store import rowlocks

    @contextmanager
    def locked() -> Any:
        with transaction.atomic():
            yield rowlocks.handle(namespace=made.namespace_id, handle="moon")

    return locked()


def test_an_unpaid_sale_expires_and_the_handle_is_free_to_be_sold_again(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = sold(place, people)
    payments.funding_over(sale_id=made.id)
    assert Sale.objects.get(pk=made.id).state == State.FUNDING
    step(72 * 3600)
    payments.funding_over(sale_id=made.id)
    assert Sale.objects.get(pk=made.id).state == State.EXPIRED
    assert sold(place, people).state == State.FUNDING


def test_a_refused_move_gives_the_money_back(place: Any, people: tuple[Any, Any]) -> None:
    made = paid(sold(place, people))
    order = made.transfer_set.get()
    transfer.look(transfer_id=order.id, holder="acc-moon", last_seen=None, vacated="nadia")
    transfer.record_move(transfer_id=order.id, state=TransferState.REFUSED, reason="stale")
    assert transfer.record_read_back(transfer_id=order.id, holder="acc-moon")
    assert Sale.objects.get(pk=made.id).state == State.REFUNDING
    assert Handle.objects.get(handle="moon").account_id == "acc-moon"


def test_a_platform_that_says_moved_but_did_not_gets_no_money_released(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = paid(sold(place, people))
    order = made.transfer_set.get()
    transfer.look(transfer_id=order.id, holder="acc-moon", last_seen=None, vacated="nadia")
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    assert not transfer.record_read_back(transfer_id=order.id, holder="acc-moon")
    with pytest.raises(AlreadyClosed):
        sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    for holder, done in (("acc-moon", False), ("acc-moon", True), ("acc-sun", True)):
        assert not transfer.record_read_back(transfer_id=order.id, holder=holder)
        order.refresh_from_db()
        assert (order.bar_holder, order.bar_done) == (holder, None)
        assert order.bar_fence == Handle.objects.get(handle="moon").fence > order.fence
        assert not transfer.record_read_back(transfer_id=order.id, holder=holder), "not answered"
        transfer.record_bar(transfer_id=order.id, fence=order.fence, done=True)
        transfer.record_bar(transfer_id=order.id, fence=order.bar_fence, done=done)
        transfer.record_bar(transfer_id=order.id, fence=order.bar_fence, done=not done)
        assert Sale.objects.get(pk=made.id).state == State.DELIVERING
    assert transfer.record_read_back(transfer_id=order.id, holder="acc-sun")
    assert Sale.objects.get(pk=made.id).state == State.REFUNDING


def test_a_move_never_asked_for_is_abandoned_when_time_is_over(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = paid(sold(place, people))
    step(24 * 3600)
    assert looked(made, "acc-moon") is Look.LATE
    assert Sale.objects.get(pk=made.id).state == State.REFUNDING
    order = made.transfer_set.get()
    assert order.state == TransferState.ABANDONED
    look = transfer.look(transfer_id=order.id, holder="acc-moon", last_seen=None, vacated=None)
    assert look is not Look.GO


WHO_MAY_NOT_BUY: list[tuple[dict[str, Any], type[Refusal]]] = [
    ({"account": "acc-moon2", "roles": "curator"}, StaffMayNot),
    ({}, Refusal),
]


@pytest.mark.parametrize(("who", "refusal"), WHO_MAY_NOT_BUY)
def test_staff_and_strangers_to_the_platform_may_not_buy(
    place: Any, people: tuple[Any, Any], who: dict[str, Any], refusal: type[Refusal]
) -> None:
    listed = listing.open_(
        namespace=place.id, handle="moon", seller=people[0].id, price=make.usd(10)
    )
    with pytest.raises(refusal):
        listing.buy(listing_id=listed.id, buyer=make.member(place, **who).id)


def test_nobody_buys_from_themselves_and_nobody_buys_twice(
    place: Any, people: tuple[Any, Any]
) -> None:
    seller, buyer = people
    listed = listing.open_(namespace=place.id, handle="moon", seller=seller.id, price=make.usd(10))
    with pytest.raises(OwnHandle):
        listing.buy(listing_id=listed.id, buyer=seller.id)
    listing.buy(listing_id=listed.id, buyer=buyer.id)
    with pytest.raises(AlreadyClosed):
        listing.buy(listing_id=listed.id, buyer=make.member(place, account="acc-x").id)
    with pytest.raises(SaleSlotTaken):
        listing.open_(namespace=place.id, handle="moon", seller=seller.id, price=make.usd(10))


def test_only_the_buyer_pays(place: Any, people: tuple[Any, Any]) -> None:
    made = sold(place, people)
    with pytest.raises(NotAllowed):
        payments.pay(sale_id=made.id, by=made.seller_id, method="pm_card_visa")


def test_a_sold_handle_cools_off_before_it_is_sold_again(
    place: Any, people: tuple[Any, Any]
) -> None:
    made = moved(paid(sold(place, people)))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    with pytest.raises(Refusal) as refusal:
        listing.open_(namespace=place.id, handle="moon", seller=made.buyer_id, price=make.usd(10))
    assert refusal.value.code == "handle_locked"
    step(30 * 86_400)
    listing.open_(namespace=place.id, handle="moon", seller=made.buyer_id, price=make.usd(10))


@pytest.mark.parametrize("way", ["listing", "offer"])
def test_a_seller_who_changed_how_they_sign_in_sells_nothing_and_the_buyer_is_not_told_why(
    place: Any, people: tuple[Any, Any], way: str
) -> None:
    seller, buyer = people
    asked = {"namespace": place.id, "handle": "moon", "price": make.usd(400)}
    act: Any
    if way == "listing":
        act = partial(listing.buy, listing_id=listing.open_(**asked, seller=seller.id).id)
        act = partial(act, buyer=buyer.id)
    else:
        made = offer.make(**asked, buyer=buyer.id)
        offer.counter(offer_id=made.id, by=seller.id, price=make.usd(500))
        act = partial(offer.accept, offer_id=made.id, by=buyer.id)
    Member.objects.filter(pk=seller.id).update(security_changed_at=store_clock.now())
    with pytest.raises(HandleLocked) as found:
        act()
    assert (found.value.facts, "address" in found.value.detail) == ({}, False)
    long_ago = store_clock.now() - timedelta(days=30)
    Member.objects.filter(pk=seller.id).update(security_changed_at=long_ago)
    assert act().seller_id == seller.id
