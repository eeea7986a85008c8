"""Accounts on their way through reclaim: warned, and released."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests import make
from tests.flows.reclaiming import Idle, World

from onym.core.sale import PaymentState
from onym.flows import listing, payments, reclaim
from onym.store.models import Payment, Sale

SECOND = timedelta(seconds=1)


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


def list_it(world: World, account: Idle) -> Any:
    return listing.open_house(namespace=world.place.id, handle=account.handle,
                              by=world.team[0].id, price=make.usd(500))  # fmt: skip


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
