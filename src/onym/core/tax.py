"""What a buyer's country takes on top: a rate table is the operator's data, and may be empty.

docs/guides/tax.md explains the table, and what a rate is taken of.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from onym.core.errors import CountryNeeded, Malformed
from onym.core.money import Money

MILLION = 10**6
ANY = "*"
BASES = ("price", "service")
COUNTRY = re.compile(r"[A-Z]{2}")
TABLE_KEYS = {"id", "version", "effective_from", "rate"}
RATE_KEYS = {"country", "kind", "on", "percent", "name"}


@dataclass(frozen=True, slots=True)
class Rate:
    """`ppm` millionths of what the buyer pays (`price`), or of commission and fee (`service`)."""

    country: str
    kind: str
    on: str
    ppm: int
    name: str

    @property
    def percent(self) -> str:
        """As it stands on an invoice, such as `5.5`."""
        return f"{Decimal(self.ppm).scaleb(-4).normalize():f}"


@dataclass(frozen=True, slots=True)
class Table:
    """One version of the operator's rates."""

    id: str
    version: int
    effective_from: datetime
    rates: tuple[Rate, ...]

    @property
    def key(self) -> str:
        return f"{self.id}/{self.version}"

    def rate(self, *, country: str, kind: str) -> Rate | None:
        """The first rate that fits; None: untaxed. Refuses `country_needed` where it matters."""
        if not country and any(rate.country != ANY for rate in self.rates):
            raise CountryNeeded("say first which country you live in: it decides about taxes")
        fits = (r for r in self.rates if r.country in (ANY, country) and r.kind in (ANY, kind))
        return next(fits, None)


@dataclass(frozen=True, slots=True)
class Due:
    """What is added to a sale. `facts` stand on its invoice: `name`, `percent`, `country`, `on`."""

    amount: Money
    facts: Mapping[str, str]


def due(rate: Rate | None, *, country: str, paid: Money, service: Money) -> Due:
    """The tax on what the buyer pays, or on the market's part of it, rounded half up once."""
    if rate is None:
        return Due(Money(0, paid.currency), {})
    base = paid if rate.on == "price" else service
    minor = (base.minor * rate.ppm * 2 + MILLION) // (2 * MILLION)
    facts = {"name": rate.name, "percent": rate.percent, "country": country, "on": rate.on}
    return Due(Money(minor, paid.currency), facts)


def country(typed: str) -> str:
    """A country's code of two letters (ISO 3166). Refuses `malformed`."""
    code = typed.strip().upper()
    if not COUNTRY.fullmatch(code):
        raise Malformed("a country is a code of two letters, like FR")
    return code


@lru_cache(maxsize=32)
def parse(text: str) -> Table:
    """A table from TOML. Refuses `malformed` with what is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise Malformed(f"the tax table is not TOML: {why}") from None
    if unknown := sorted(data.keys() - TABLE_KEYS):
        raise Malformed(f"the tax table has the unknown key {unknown[0]!r}")
    if not isinstance(data.get("id"), str) or not isinstance(data.get("version"), int):
        raise Malformed("the tax table needs an id and a version")
    rows = data.get("rate", [])
    if not isinstance(rows, list):
        raise Malformed("rate is a list of tables")
    return Table(
        data["id"],
        data["version"],
        _instant(data.get("effective_from")),
        tuple(_rate(row) for row in rows),
    )


def _rate(row: Any) -> Rate:
    if not isinstance(row, dict) or row.keys() != RATE_KEYS:
        raise Malformed(f"a rate has exactly {', '.join(sorted(RATE_KEYS))}")
    place = row["country"] if row["country"] == ANY else country(str(row["country"]))
    if row["kind"] not in (ANY, "trade", "primary") or row["on"] not in BASES:
        raise Malformed("kind is trade, primary or *, on is price or service")
    try:
        ppm = Decimal(str(row["percent"])) * (MILLION // 100)
    except InvalidOperation:
        raise Malformed("percent is written as text, like '5.5'") from None
    if isinstance(row["percent"], float) or not 0 <= ppm <= MILLION or ppm != int(ppm):
        raise Malformed("percent is text, 0 to 100, with at most four decimals")
    return Rate(place, row["kind"], row["on"], int(ppm), str(row["name"])[:40])


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    raise Malformed("effective_from is a date, or an instant with an offset")
