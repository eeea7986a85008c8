"""Money is an integer count of minor units and a currency; see docs/concepts/money.md.

There is no division but `allocate`, whose parts always sum to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from onym.core.errors import AmountTooLarge, AmountTooSmall, CurrencyMismatch, Malformed

MAX_MINOR = 10**15

MINOR_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
"""ISO 4217 minor-unit digits of the currencies that tables exist or are tested for."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """`minor` units of `currency` (ISO 4217). Adding two currencies is refused."""

    minor: int
    currency: str

    @classmethod
    def positive(cls, minor: int, currency: str) -> Self:
        """An amount as a person may name it: 1 … 10^15 minor units."""
        if isinstance(minor, bool) or not isinstance(minor, int):
            raise Malformed("minor must be a whole number")
        if minor < 1:
            raise AmountTooSmall("an amount is at least one minor unit")
        if minor > MAX_MINOR:
            raise AmountTooLarge("an amount is at most 10^15 minor units")
        return cls(minor, currency)

    def expect(self, currency: str) -> Self:
        """Itself, or a refusal if it is not in `currency`."""
        if self.currency != currency:
            raise CurrencyMismatch(f"this namespace deals in {currency}", expected=currency)
        return self

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + other.expect(self.currency).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - other.expect(self.currency).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0


def zero(currency: str) -> Money:
    return Money(0, currency)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units by integer `weights`; the parts sum to `total`.

    Each part is rounded down, then the odd units go to the first parts, one each.
    """
    whole = sum(weights)
    if total < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError("allocate needs a total >= 0 and weights >= 0, not all zero")
    parts = [total * weight // whole for weight in weights]
    for i in range(total - sum(parts)):
        parts[i] += 1
    return parts
