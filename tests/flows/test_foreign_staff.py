"""Staff decide in their own namespace alone: what an id names elsewhere is refused to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests import make

from onym.core.errors import NotAllowed, NotFound
from onym.flows import (
    appeal,
    bank,
    desk,
    dispute,
    invitation,
    listing,
    payments,
    payout,
    receiver,
    record,
    recovery,
    screening,
)
from onym.queries import invitation as campaigns
from onym.queries import sale as sales
from onym.store.models import (
    Appeal,
    BankLine,
    BankOrder,
    BankStatement,
    Chargeback,
    Payment,
    Payout,
    ScreeningCase,
)

USD = {"currency": "USD"}


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.fixture
def foreign(place: Any) -> str:
    """An operator of another namespace: every role's actions, but not here."""
    from onym.store.models import Namespace

    other = Namespace.objects.create(
        id="other", title="Other", profile="x", currency="USD", phase="open", created_at=make.NOW
    )
    return str(make.member(other, roles="operator").id)


def a_sale(place: Any) -> Any:
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    buyer = make.member(place, account="acc-nadia", mail="buyer@two.example")
    row = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(400))
    return listing.buy(listing_id=row.id, buyer=buyer.id)


def a_line(place: Any) -> Any:
    statement = BankStatement.objects.create(
        id="bst_1",
        namespace=place,
        number="1",
        sha256="0" * 64,
        opening_minor=0,
        closing_minor=900,
        lines=1,
        imported_at=make.NOW,
        **USD,
    )
    return BankLine.objects.create(
        id="bln_1",
        namespace=place,
        statement=statement,
        ref="r",
        minor=900,
        booked_on=make.NOW.date(),
        rest_minor=900,
        outcome="unknown",
        at=make.NOW,
        **USD,
    )


def to_approve(place: Any, by: str) -> Any:
    team = make.member(place, roles="curator").id
    made = record.propose(
        namespace="demo", action="lift_stop", payload={}, facts={}, by=team, now=make.NOW
    )
    return lambda: desk.approve(approval_id=made.id, by=by, shown=made.shown)


def to_decide_an_appeal(place: Any, by: str) -> Any:
    process = make.reclaimed(place, "sunset", state="resting")
    row = Appeal.objects.create(
        id="apl_1",
        namespace=place,
        handle=process.handle,
        process=process,
        account_id="acc-sunset",
        text_sealed=b"",
        opened_at=make.NOW,
    )
    return lambda: appeal.decide(appeal_id=row.id, by=by, outcome="upheld")


def to_decide_a_dispute(place: Any, by: str) -> Any:
    sale = a_sale(place)
    return lambda: dispute.decide(sale_id=sale.id, by=by, outcome="settle")


def to_try_a_payout_again(place: Any, by: str) -> Any:
    sale = a_sale(place)
    row = Payout.objects.create(
        id="pay_1",
        sale=sale,
        member=sale.seller,
        amount_minor=900,
        state="refused",
        due_at=make.NOW,
        **USD,
    )
    return lambda: payout.retry(payout_id=row.id, by=by)


def to_order_a_refund_again(place: Any, by: str) -> Any:
    row = Payment.objects.create(
        id="pay_1",
        sale=a_sale(place),
        kind="refund",
        amount_minor=900,
        state="refused",
        made_at=make.NOW,
        **USD,
    )
    return lambda: payments.refund_again(payment_id=row.id, by=by)


def to_send_a_campaign(place: Any, by: str) -> Any:
    row = make.campaign(make.handle(place, "mole", state="released"))
    return lambda: invitation.send(campaign_id=row.id, by=by)


def to_take_a_listing_back(place: Any, by: str) -> Any:
    make.handle(place, "mole", state="released")
    team = make.member(place, roles="curator").id
    row: Any = listing.open_house(namespace="demo", handle="mole", by=team, price=make.usd(90))
    return lambda: listing.withdraw(listing_id=row.id, by=by)


def to_place_money(place: Any, by: str) -> Any:
    row = a_line(place)
    return lambda: bank.decide(line_id=row.id, by=by)


def to_complete_an_order(place: Any, by: str) -> Any:
    row = BankOrder.objects.create(
        id="bor_1",
        namespace=place,
        kind="return",
        line=a_line(place),
        state="no_place",
        minor=900,
        text="",
        made_at=make.NOW,
        **USD,
    )
    iban = "DE89370400440532013000"
    return lambda: receiver.name(order_id=row.id, by=by, iban=iban, holder="Ada")


def to_screen(place: Any, by: str) -> Any:
    row = ScreeningCase.objects.create(
        id="scr_1",
        namespace=place,
        member=make.member(place),
        entry_sealed=b"x",
        entry_index="x",
        percent=90,
        found_at=make.NOW,
    )
    return lambda: screening.decide(case_id=row.id, by=by, outcome="cleared")


def to_give_a_claim_up(place: Any, by: str) -> Any:
    row = Chargeback.objects.create(
        id="cbk_1",
        sale=a_sale(place),
        provider="stripe",
        provider_id="dp_1",
        status="lost",
        source="receivable",
        amount_minor=900,
        opened_at=make.NOW,
        closed_at=make.NOW,
        **USD,
    )
    return lambda: recovery.propose_write_off(chargeback_id=row.id, by=by)


DOORS: list[Callable[[Any, str], Any]] = [
    to_approve,
    to_decide_an_appeal,
    to_decide_a_dispute,
    to_try_a_payout_again,
    to_order_a_refund_again,
    to_send_a_campaign,
    to_take_a_listing_back,
    to_place_money,
    to_complete_an_order,
    to_screen,
    to_give_a_claim_up,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_staff_of_another_namespace_are_refused(
    place: Any, foreign: str, door: Callable[[Any, str], Any]
) -> None:
    act = door(place, foreign)
    with pytest.raises(NotAllowed, match="another namespace"):
        act()


def test_staff_of_another_namespace_find_neither_a_sale_nor_a_campaign(
    place: Any, foreign: str
) -> None:
    sale, made = a_sale(place), make.campaign(make.handle(place, "mole", state="released"))
    with pytest.raises(NotFound):
        sales.sale(sale.id, viewer=foreign, staff_of="other")
    with pytest.raises(NotFound):
        campaigns.campaign(made.id, namespace="other")
    assert sales.sale(sale.id, viewer=foreign, staff_of="demo")["id"] == sale.id
