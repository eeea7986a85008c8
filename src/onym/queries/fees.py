"""What a sale at a price costs whom, to the unit, and the clocks it will run under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from onym.core import fees, guidelines
from onym.core.errors import NotFound
from onym.core.money import Money
from onym.queries import ground
from onym.queries.ground import Ground
from onym.store.models import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """gross = price + by_buyer + fee; proceeds = price - by_seller; commission = both parts."""

    price: Money
    gross: Money
    commission: Money
    by_buyer: Money
    by_seller: Money
    fee: Money
    proceeds: Money
    schedule: str
    guidelines: str
    payment: timedelta
    cooling: timedelta
    delivery: timedelta
    inspection: timedelta
    withdrawal: timedelta


def sums(place: str | Ground, *, price: Money, kind: fees.Kind = "trade") -> Sums:
    """Under the fee schedule and the guidelines in force.

    Refuses `not_found` while none is, `amount_too_small`, `amount_too_large`, `currency_mismatch`.
    """
    texts = _in_force(ground.of(place))
    schedule = fees.Schedule.from_toml(texts["fees"], currency=price.currency)
    rules = guidelines.parse(texts["guidelines"])
    split = fees.split(price=price, kind=kind, schedule=schedule)
    return Sums(
        price=price,
        gross=split.gross,
        commission=split.commission,
        by_buyer=split.gross - price - split.fee,
        by_seller=price - split.proceeds,
        fee=split.fee,
        proceeds=split.proceeds,
        schedule=schedule.key,
        guidelines=rules.ref,
        payment=rules.periods["payment_hours"],
        cooling=rules.cooling_off(price),
        delivery=rules.periods["delivery_hours"],
        inspection=rules.periods["inspection_hours"],
        withdrawal=rules.withdrawal_delay(price),
    )


def _in_force(looked: Ground) -> dict[str, str]:
    rows = Document.objects.filter(
        namespace=looked.place, kind__in=("fees", "guidelines"), effective_from__lte=looked.now
    )
    texts = {row.kind: row.text for row in rows.order_by("effective_from", "id")}
    if len(texts) < 2:
        raise NotFound("no fee schedule or no guidelines are in force")
    return texts
