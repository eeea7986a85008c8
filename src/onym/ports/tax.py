"""Who knows what tax a sale bears. It is asked inside a sale's agreement: it must not go outside.

The default reads the operator's rate table; another one may be installed in its place.
"""

from __future__ import annotations

from typing import Protocol

from onym.core import tax
from onym.core.money import Money


class Tax(Protocol):
    """`table` is the text in force, None without one; `service` is the market's part of `paid`."""

    def due(
        self, *, table: str | None, country: str, kind: str, paid: Money, service: Money
    ) -> tax.Due: ...


class RateTable:
    """The first rate of the table that fits country and kind of the sale."""

    def due(
        self, *, table: str | None, country: str, kind: str, paid: Money, service: Money
    ) -> tax.Due:
        """Refuses `country_needed` where the country decides and is not known."""
        rate = tax.parse(table).rate(country=country, kind=kind) if table else None
        return tax.due(rate, country=country, paid=paid, service=service)
