"""What a sale costs whom: a fee schedule is versioned data, and its parts always sum to the gross.

docs/concepts/fees.md explains the bands, who pays, and how to publish a schedule of one's own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any, Literal, Self, get_args

from onym.core import tax as taxes
from onym.core.errors import (
    AmountTooLarge,
    AmountTooSmall,
    CurrencyMismatch,
    Malformed,
    NotFound,
)
from onym.core.money import MAX_MINOR, MINOR_DIGITS, Money, allocate, zero

Payer = Literal["buyer", "seller", "half"]
Kind = Literal["trade", "primary"]

BUILT_IN = ("domain-2021", "flat-5", "onym-2026")

MILLION = 10**6
SCHEDULE_KEYS = {"id", "version", "effective_from", "payer", "currency"}
TABLE_KEYS = {"least_price", "least_commission", "initiate", "bands", "displaced", "step"}


@dataclass(frozen=True, slots=True)
class Band:
    """`ppm` millionths of the part of a price above the band before, up to `up_to_minor`."""

    ppm: int
    up_to_minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One version of a fee schedule in one currency; amounts in minor units.

    All of them are whole steps: a provider may move no finer amounts than ten fils.
    """

    id: str
    version: int
    effective_from: datetime
    currency: str
    payer: Payer
    bands: tuple[Band, ...]
    least_price_minor: int
    least_commission_minor: int = 0
    initiate_minor: int = 0
    displaced_ppm: int = 0
    step_minor: int = 1

    @property
    def key(self) -> str:
        """The name a sale pins, e.g. `onym-2026/1`."""
        return f"{self.id}/{self.version}"

    @classmethod
    def from_toml(cls, text: str, *, currency: str) -> Self:
        """The schedule's table for `currency`.

        Refusals: malformed (not TOML, unknown key, bands out of order, an amount finer than the
        minor unit), currency_mismatch when the file has no table for this currency.
        """
        document = _document(text)
        tables = document["currency"]
        if currency not in tables or currency not in MINOR_DIGITS:
            raise CurrencyMismatch(f"no fee table for {currency}", expected=sorted(tables))
        table = _known(tables[currency], TABLE_KEYS, f"currency.{currency}")
        return cls(
            id=document["id"],
            version=document["version"],
            effective_from=_instant(document["effective_from"]),
            currency=currency,
            payer=document["payer"],
            bands=_bands(table.get("bands"), currency),
            least_price_minor=minor_units(table.get("least_price", "1"), currency),
            least_commission_minor=minor_units(table.get("least_commission", "0"), currency),
            initiate_minor=minor_units(table.get("initiate", "0"), currency),
            displaced_ppm=_ppm(table.get("displaced", "0")),
            step_minor=_step(table, currency),
        )

    def commission(self, price: Money) -> Money:
        """min(price, max(least, bands)); the bands are summed exactly, then rounded down once.

        Refusals: as `check`.
        """
        minor = self.check(price=price).minor
        exact = min(minor, max(self.least_commission_minor, self._banded(minor)))
        return Money(exact - exact % self.step_minor, self.currency)

    def stepped(self, minor: int) -> int:
        """The whole number of steps that is nearest to an amount, half a step up."""
        return (minor + self.step_minor // 2) // self.step_minor * self.step_minor

    def displaced(self, price: Money) -> Money:
        """The share of whoever lost the handle to a primary sale at `price`, rounded down."""
        exact = price.minor * self.displaced_ppm // MILLION
        return Money(exact - exact % self.step_minor, price.currency)

    def check(self, *, price: Money) -> Money:
        """`price` itself, if a sale may be agreed at it.

        Refusals: currency_mismatch, amount_too_small, amount_too_large, malformed off the steps.
        """
        price.expect(self.currency)
        if price.minor % self.step_minor:
            step = _wire(Money(self.step_minor, self.currency))
            raise Malformed("the price is not a whole number of steps", step=step)
        if price.minor < self.least_price_minor:
            least = Money(self.least_price_minor, self.currency)
            raise AmountTooSmall("below the least price", minimum=_wire(least))
        if price.minor > MAX_MINOR:
            raise AmountTooLarge("an amount is at most 10^15 minor units")
        return price

    def _banded(self, minor: int) -> int:
        millionths, lower = 0, 0
        for band in self.bands:
            upper = minor if band.up_to_minor is None else min(minor, band.up_to_minor)
            millionths += max(0, upper - lower) * band.ppm
            lower = upper
        return millionths // MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who pays and gets what: gross = proceeds + commission + fee + tax + share, exactly."""

    price: Money
    gross: Money
    commission: Money
    fee: Money
    tax: Money
    share: Money
    proceeds: Money


def split(
    *,
    price: Money,
    schedule: Schedule,
    kind: Kind = "trade",
    tax: Money | None = None,
    share: Money | None = None,
) -> Split:
    """The parts of a sale agreed at `price`.

    The buyer pays price, own part of the commission, the flat fee and `tax`; the seller gets the
    price less own part of the commission and less `share`, which goes to a displaced holder. In
    half and half the buyer pays the odd unit. A primary sale has no commission.
    Refusals: amount_too_small (below the least price), amount_too_large (a share above what the
    seller gets, a gross above 10^15), currency_mismatch.
    """
    schedule.check(price=price)
    none = zero(schedule.currency)
    tax, share = _part(tax, none), _part(share, none)
    commission = none if kind == "primary" else schedule.commission(price)
    by_buyer, by_seller = _payers(commission, schedule.payer, step=schedule.step_minor)
    fee = Money(schedule.initiate_minor, schedule.currency)
    proceeds = price - by_seller - share
    gross = price + by_buyer + fee + tax
    if proceeds.minor < 0 or gross.minor > MAX_MINOR:
        raise AmountTooLarge("the parts do not fit the price")
    return Split(
        price=price,
        gross=gross,
        commission=commission,
        fee=fee,
        tax=tax,
        share=share,
        proceeds=proceeds,
    )


def whole(
    *,
    price: Money,
    schedule: Schedule,
    kind: Kind,
    due: Callable[[Money, Money], taxes.Due],
    displaces: bool,
) -> tuple[Split, taxes.Due]:
    """All parts of a sale at `price`, the same before one agrees as in the sale.

    `due` tells the tax on (what the buyer pays, the market's part of it), which is rounded to
    steps; `displaces`: an account lost the handle to the platform and has its share. Refusals: as
    `split`, and what `due` refuses.
    """
    share = schedule.displaced(price) if displaces and kind == "primary" else None
    bare = split(price=price, kind=kind, schedule=schedule)
    told = due(bare.gross, bare.gross - bare.price)
    owed = Money(schedule.stepped(told.amount.minor), price.currency)
    return split(price=price, kind=kind, schedule=schedule, tax=owed, share=share), told


def in_force(schedules: Iterable[Schedule], *, at: datetime) -> Schedule:
    """The version that holds `at`: the one that took effect last. Refusal: not_found."""
    begun = [one for one in schedules if one.effective_from <= at]
    if not begun:
        raise NotFound("no fee schedule is in force yet")
    return max(begun, key=lambda one: (one.effective_from, one.version))


@cache
def built_in(schedule_id: str, *, currency: str) -> Schedule:
    """A schedule shipped with the package. Refusals: not_found, currency_mismatch."""
    if schedule_id not in BUILT_IN:
        raise NotFound(f"no built-in fee schedule {schedule_id!r}")
    file = resources.files("onym.core") / "data" / "fees" / f"{schedule_id}.toml"
    return Schedule.from_toml(file.read_text("utf-8"), currency=currency)


def _payers(commission: Money, payer: Payer, *, step: int) -> tuple[Money, Money]:
    weights = {"buyer": (1, 0), "seller": (0, 1), "half": (1, 1)}[payer]
    buyer, seller = (part * step for part in allocate(commission.minor // step, weights))
    return Money(buyer, commission.currency), Money(seller, commission.currency)


def _part(amount: Money | None, none: Money) -> Money:
    part = none if amount is None else amount.expect(none.currency)
    if part.minor < 0:
        raise AmountTooSmall("a part of a price is not negative")
    return part


def _wire(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def _document(text: str) -> Mapping[str, Any]:
    """The file as a mapping whose top level has the right keys and types, or malformed."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise Malformed(f"the fee schedule is not TOML: {why}") from None
    _known(document, SCHEDULE_KEYS, "the fee schedule")
    if missing := sorted(SCHEDULE_KEYS - document.keys()):
        raise Malformed(f"the fee schedule lacks {', '.join(missing)}")
    if document["payer"] not in get_args(Payer):
        raise Malformed("payer is buyer, seller or half")
    version = document["version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise Malformed("version is a whole number from 1")
    if not isinstance(document["id"], str) or not document["id"]:
        raise Malformed("id is a name")
    if not isinstance(document["currency"], dict):
        raise Malformed("currency holds one table per currency")
    return document


def _known(table: Any, keys: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise Malformed(f"{where} is a table")
    if unknown := sorted(table.keys() - keys):
        raise Malformed(f"{where} has the unknown key {unknown[0]!r}")
    return table


def _bands(rows: Any, currency: str) -> tuple[Band, ...]:
    """Bands in rising order, the last without an end, so that every price has its rate."""
    if not isinstance(rows, list) or not rows:
        raise Malformed("bands is a list of at least one band")
    bands = tuple(_band(_known(row, {"percent", "up_to"}, "a band"), currency) for row in rows)
    ends = [band.up_to_minor for band in bands]
    rising = all(a is not None and b is not None and a < b for a, b in pairwise(ends[:-1]))
    if ends[-1] is not None or None in ends[:-1] or not rising:
        raise Malformed("bands rise, and the last alone has no up_to")
    return bands


def _step(table: Mapping[str, Any], currency: str) -> int:
    """The least amount that can be moved; every other amount of the table is whole steps."""
    if "step" not in table:
        return 1
    step = minor_units(table["step"], currency)
    named = ("least_price", "least_commission", "initiate")
    amounts = [minor_units(table[name], currency) for name in named if name in table]
    if step < 1 or any(amount % step for amount in amounts):
        raise Malformed("step is a positive amount, and every amount is whole steps")
    return step


def _band(row: Mapping[str, Any], currency: str) -> Band:
    ppm = _ppm(row.get("percent"))
    return Band(ppm, minor_units(row["up_to"], currency) if "up_to" in row else None)


def _ppm(value: Any) -> int:
    percent = _decimal(value, "percent")
    ppm = percent * (MILLION // 100)
    if not 0 <= percent <= 100 or ppm != int(ppm):
        raise Malformed("percent is 0 to 100 with at most four decimals")
    return int(ppm)


def minor_units(value: Any, currency: str) -> int:
    """An amount written as text ("2.50") or as a whole number. Refusal: malformed."""
    minor = _decimal(value, "an amount").scaleb(MINOR_DIGITS[currency])
    if not 0 <= minor <= MAX_MINOR or minor != int(minor):
        raise Malformed(f"{value!r} is not an amount in {currency}")
    return int(minor)


def _decimal(value: Any, what: str) -> Decimal:
    """Amounts and percents are written as text or whole numbers: a TOML float is not exact."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Malformed(f"{what} is written as text, like '2.50'")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Malformed(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise Malformed(f"{value!r} is not a number")
    return number


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Malformed("effective_from needs an offset, like 2026-01-01T00:00:00Z")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise Malformed("effective_from is a date or an instant")
