"""Members with money in their wallets, for tests: put in by card, or written down directly."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from tests import make
from tests.faults import ways
from tests.faults.ways import Way

from onym.core import ledger as core
from onym.flows import deposit, hold, ledger
from onym.store.models import BookAccount, Deposit, Payout, Sale

GOOD = ways.GOOD
DAY = timedelta(days=1)


def rich(world: Any, whole: float = 1000, **changes: Any) -> Any:
    """A member with that much in the wallet, put in by card."""
    member, _, _ = world.member(**changes)
    put(world, member, whole)
    return member


def put(world: Any, member: Any, whole: float, method: str = GOOD) -> Deposit:
    made = deposit.begin(member=member.id, amount=make.usd(whole), method=method)
    world.drain(hurry=True)
    made.refresh_from_db()
    return made


def lies(member: Any) -> tuple[int, int]:
    """What may be used, and what is held, in cents."""
    found = {
        row.code.rsplit(":", 1)[1]: row.balance_minor or 0
        for row in BookAccount.objects.filter(member=member)
    }
    return found.get("available", 0), found.get("held", 0)


def sold_to(world: Any, buyer: Any, price: float = 400) -> tuple[Way, str]:
    """A trade that waits for the buyer's money."""
    way = ways.trade(world, price=price)
    way.buyer = buyer
    return way, way.agree()


def agreed(sale: str) -> Sale:
    return Sale.objects.get(pk=sale)


@transaction.atomic
def lived_in(member: Any, now: datetime) -> None:
    """Deposits, one that the provider has not answered, and a payout that has not left."""
    for n in range(60):
        made = Deposit.objects.create(
            id=f"dep_00{n:02d}",
            namespace=member.namespace,
            member=member,
            state="unknown" if n == 59 else "paid",
            method="pm_card_visa",
            amount_minor=2_000,
            currency="USD",
            provider_id=f"pi_wallet{n}",
            made_at=now,
            gives_up_at=now + DAY,
        )
        if n < 59:
            entry = core.deposited(
                deposit=made.id,
                amount=made.amount,
                member=member.id,
                out_of="world:stripe",
                provider_id=made.provider_id,
            )
            ledger.book(entry, namespace=member.namespace_id, at=now)
    out = Payout.objects.create(
        id="out_00", member=member, amount_minor=5_000, currency="USD", due_at=now + DAY
    )
    _, entry = hold.make(member, kind="payout", subject=out.id, amount=out.amount, now=now)
    ledger.book(entry, namespace=member.namespace_id, at=now)
