"""The guidelines: periods and thresholds as versioned data; each sale pins the version it has."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any

from onym.core.errors import CurrencyMismatch, Malformed
from onym.core.money import MINOR_DIGITS, Money


@dataclass(frozen=True, slots=True)
class Guidelines:
    """`cooling` and `withdrawal` are (below in whole units or None, delay), in ascending order."""

    id: str
    version: int
    effective_from: datetime
    periods: Mapping[str, timedelta]
    cooling: Sequence[tuple[int | None, timedelta]]
    withdrawal: Sequence[tuple[int | None, timedelta]]
    approval: Mapping[str, int]

    @property
    def ref(self) -> str:
        return f"{self.id}/{self.version}"

    def cooling_off(self, price: Money) -> timedelta:
        """How long a trade at `price` waits before the handle moves."""
        return _banded(self.cooling, price)

    def withdrawal_delay(self, price: Money) -> timedelta:
        """How long after settlement the seller's proceeds are paid out."""
        return _banded(self.withdrawal, price)

    def needs_two(self, price: Money) -> bool:
        """Whether staff need a second person for this price; a currency must have its figure."""
        if price.currency not in self.approval:
            raise CurrencyMismatch(f"no approval threshold is published for {price.currency}")
        least = self.approval[price.currency] * 10 ** MINOR_DIGITS[price.currency]
        return bool(price.minor >= least)


@lru_cache(maxsize=32)
def parse(text: str) -> Guidelines:
    """Guidelines from TOML; refuses `malformed` with what is wrong."""
    try:
        data = tomllib.loads(text)
        return Guidelines(
            id=data["id"],
            version=data["version"],
            effective_from=data["effective_from"],
            periods={name: _period(name, value) for name, value in data["periods"].items()},
            cooling=_bands(data["cooling"]),
            withdrawal=_bands(data["withdrawal"]),
            approval=data["approval"],
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise Malformed(f"the guidelines cannot be read: {error}") from error


def built_in() -> str:
    """The text of the built-in guidelines."""
    return resources.files("onym.core").joinpath("data/guidelines-onym-2026.toml").read_text()


def _period(name: str, value: int) -> timedelta:
    unit = name.rsplit("_", 1)[1]
    return timedelta(**{unit: value})


def _bands(rows: list[dict[str, Any]]) -> tuple[tuple[int | None, timedelta], ...]:
    bands = tuple((row.get("below"), timedelta(hours=row["hours"])) for row in rows)
    limits = [-1 if below is None else below for below, _ in bands[:-1]]
    if -1 in limits or bands[-1][0] is not None or limits != sorted(set(limits)):
        raise ValueError("bands rise, and only the last has no `below`")
    return bands


def _banded(bands: Sequence[tuple[int | None, timedelta]], price: Money) -> timedelta:
    unit = 10 ** MINOR_DIGITS[price.currency]
    return next(delay for below, delay in bands if below is None or price.minor < below * unit)
