"""How much a member may move, by the tier that they are known in: versioned data of the operator.

docs/guides/screening.md has an example. What no table names has no limit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from onym.core.errors import AmountTooLarge, Malformed
from onym.core.fees import minor_units
from onym.core.money import MINOR_DIGITS, Money

KEYS = {"id", "version", "effective_from", "tier"}
CARD = "card"
METHODS = ("bank_transfer", "wallet")
"""Ways to pay that are no card; any other method is one."""
WHATS = ("price", CARD, *METHODS, "payout", "deposit", "balance")


@dataclass(frozen=True, slots=True)
class Tier:
    """`most` maps (currency, what) to minor units; what is price, a method of payment (card,
    bank_transfer, wallet), payout, one deposit, or the balance of a wallet.
    """

    name: str
    most: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Table:
    """Tiers from the least known to the best known."""

    id: str
    version: int
    effective_from: datetime
    tiers: tuple[Tier, ...]

    def expect(self, amount: Money, *, tier: str, what: str) -> None:
        """Refuses `amount_too_large` above the tier's limit; an unknown tier is the least one."""
        found = next((one for one in self.tiers if one.name == tier), self.tiers[0])
        most = found.most.get((amount.currency, what))
        if most is not None and amount.minor > most:
            told = {"minor": most, "currency": amount.currency}
            raise AmountTooLarge(
                f"above the limit of the tier {found.name} for {what}", maximum=told, limit=what
            )


@lru_cache(maxsize=32)
def parse(text: str) -> Table:
    """A table from TOML. Refuses `malformed` with what is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise Malformed(f"the limits are not TOML: {why}") from None
    tiers = data.get("tier")
    if data.keys() != KEYS or not isinstance(tiers, list) or not tiers:
        raise Malformed(f"limits have exactly {', '.join(sorted(KEYS))}, and at least one tier")
    if not isinstance(data["id"], str) or not isinstance(data["version"], int):
        raise Malformed("limits need an id and a version")
    if not isinstance(data["effective_from"], date):
        raise Malformed("effective_from is a date or an instant")
    return Table(
        data["id"],
        data["version"],
        _instant(data["effective_from"]),
        tuple(_tier(row) for row in tiers),
    )


def _instant(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    return datetime.combine(value, time(), UTC)


def _tier(row: Any) -> Tier:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise Malformed("a tier has a name")
    most = {}
    for currency, limits in row.items():
        if currency == "name":
            continue
        if currency not in MINOR_DIGITS or not isinstance(limits, dict):
            raise Malformed(f"{currency!r} is no currency with limits")
        for what, value in limits.items():
            if what not in WHATS:
                raise Malformed(f"there is no limit of {what!r}")
            most[currency, what] = minor_units(value, currency)
    return Tier(row["name"], most)
