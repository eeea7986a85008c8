"""What a sale at a price costs whom, to the unit, and the clocks it will run under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Subquery

from onym import ports
from onym.core import fees, guidelines, tax
from onym.core.errors import CountryNeeded, Malformed, NotFound
from onym.core.money import Money
from onym.queries import ground, names
from onym.queries.ground import Ground
from onym.store.models import Document, Member

KINDS = ("fees", "guidelines", "tax")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """gross = price + by_buyer + fee + tax; proceeds = price - by_seller - share; commission = both
    parts. `tax_later`: taxes are in force, and the buyer's country is not known here; then `tax`
    is nothing, and is added before payment. `tax_facts` as on an invoice.
    """

    price: Money
    gross: Money
    commission: Money
    by_buyer: Money
    by_seller: Money
    fee: Money
    tax: Money
    tax_facts: Mapping[str, str]
    tax_later: bool
    share: Money
    proceeds: Money
    schedule: str
    guidelines: str
    payment: timedelta
    cooling: timedelta
    delivery: timedelta
    inspection: timedelta
    withdrawal: timedelta


def sums(
    place: str | Ground,
    *,
    price: Money,
    kind: fees.Kind = "trade",
    buyer: str | None = None,
    displaces: bool = False,
) -> Sums:
    """What a sale agreed now would cost: under the fees, taxes and guidelines in force.

    `buyer` is the member who would pay; None: nobody in particular. `displaces`: the platform sells
    what an account has lost. Refuses `not_found` while no fees are in force, `amount_too_small`,
    `amount_too_large`, `currency_mismatch`.
    """
    looked = ground.of(place)
    found = _in_force(looked, buyer)
    schedule = fees.Schedule.from_toml(found.texts["fees"], currency=price.currency)
    rules = guidelines.parse(found.texts["guidelines"])
    later = False

    def due(paid: Money, service: Money) -> tax.Due:
        nonlocal later
        try:
            return ports.tax(looked.id).due(
                table=found.texts.get("tax"),
                country=found.country,
                kind=kind,
                paid=paid,
                service=service,
            )
        except CountryNeeded:
            later = True
            return tax.Due(Money(0, price.currency), {})

    split, told = fees.whole(
        price=price, schedule=schedule, kind=kind, due=due, displaces=displaces
    )
    return Sums(
        price=price,
        gross=split.gross,
        commission=split.commission,
        by_buyer=split.gross - price - split.fee - split.tax,
        by_seller=price - split.proceeds - split.share,
        fee=split.fee,
        tax=split.tax,
        tax_facts=told.facts,
        tax_later=later,
        share=split.share,
        proceeds=split.proceeds,
        schedule=schedule.key,
        guidelines=rules.ref,
        payment=rules.periods["payment_hours"],
        cooling=rules.cooling_off(price),
        delivery=rules.periods["delivery_hours"],
        inspection=rules.periods["inspection_hours"],
        withdrawal=rules.withdrawal_delay(price),
    )


def of_handle(
    place: str | Ground, shown: Mapping[str, Any], *, price: Money, buyer: str | None
) -> Sums:
    """The sums of buying the handle of a handle object, from the platform once it is released."""
    is_primary = shown["state"] == "released"
    return sums(
        place,
        price=price,
        kind="primary" if is_primary else "trade",
        buyer=buyer,
        displaces=is_primary and shown["holder"] is not None,
    )


def quote(place: str | Ground, name: str, *, price_minor: int, buyer: str) -> dict[str, Any]:
    """What buying a handle would cost a member, part by part; `price_minor` 0: at its listing's
    price. `tax_later`: their country is not known, and tax is added before payment.

    Refuses `malformed` without a price, and as `sums`.
    """
    looked = ground.of(place)
    shown = names.card(looked, name)
    listed = (shown["sale"] or {}).get("price")
    price = Money(price_minor, looked.place.currency) if price_minor else listed
    if price is None:
        raise Malformed("it is not listed: name a price")
    found = of_handle(looked, shown, price=price, buyer=buyer)
    parts = ("price", "gross", "commission", "fee", "tax", "tax_later", "share", "proceeds")
    return {
        "handle": shown["handle"],
        **{part: getattr(found, part) for part in parts},
        "versions": {"fees": found.schedule, "guidelines": found.guidelines},
    }


@dataclass(frozen=True, slots=True)
class _InForce:
    texts: Mapping[str, str]
    country: str


def _in_force(looked: Ground, buyer: str | None) -> _InForce:
    """The documents of now and the buyer's country, in one statement."""
    countries = Member.objects.filter(pk=buyer or "").values("country")[:1]
    rows = Document.objects.filter(
        namespace=looked.place, kind__in=KINDS, effective_from__lte=looked.now
    ).annotate(country=Subquery(countries))
    found = list(rows.order_by("effective_from", "id"))
    texts = {row.kind: row.text for row in found}
    if not {"fees", "guidelines"} <= texts.keys():
        raise NotFound("no fee schedule or no guidelines are in force")
    return _InForce(texts, str(getattr(found[0], "country", "") or ""))
