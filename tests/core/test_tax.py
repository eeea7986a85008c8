"""Rate tables: which rate fits, what it is taken of, how it is rounded, what is refused."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import fees, tax
from onym.core.errors import CountryNeeded, Malformed
from onym.core.money import Money
from onym.ports.tax import RateTable

TABLE = """
id = "eu"
version = 2
effective_from = 2026-01-01

[[rate]]
country = "FR"
kind = "primary"
on = "price"
percent = "20"
name = "TVA"

[[rate]]
country = "FR"
kind = "*"
on = "service"
percent = "5.5"
name = "TVA"

[[rate]]
country = "*"
kind = "trade"
on = "service"
percent = "0"
name = "none"
"""
FITS = [
    # country, kind, percent and base
    ("FR", "primary", ("20", "price")),
    ("FR", "trade", ("5.5", "service")),
    ("DE", "trade", ("0", "service")),
    ("DE", "primary", None),
]


@pytest.mark.parametrize(("country", "kind", "found"), FITS)
def test_the_first_rate_that_fits_is_taken(
    country: str, kind: str, found: tuple[str, str] | None
) -> None:
    rate = tax.parse(TABLE).rate(country=country, kind=kind)
    assert (rate and (rate.percent, rate.on)) == found
    assert tax.parse(TABLE).key == "eu/2"


def test_a_country_is_needed_only_where_a_rate_names_one() -> None:
    with pytest.raises(CountryNeeded):
        tax.parse(TABLE).rate(country="", kind="trade")
    everywhere = TABLE.replace('"FR"', '"*"')
    assert tax.parse(everywhere).rate(country="", kind="trade") is not None
    empty = 'id = "none"\nversion = 1\neffective_from = 2026-01-01\n'
    assert tax.parse(empty).rate(country="", kind="trade") is None


def test_without_a_table_nothing_is_due_and_nothing_is_asked() -> None:
    usd = Money(1_000, "USD")
    none = RateTable().due(table=None, country="", kind="trade", paid=usd, service=usd)
    assert (none.amount.minor, dict(none.facts)) == (0, {})


def test_the_tax_is_of_all_that_is_paid_or_of_the_markets_part_alone() -> None:
    paid, service = Money(42_000, "USD"), Money(2_000, "USD")
    price = RateTable().due(table=TABLE, country="FR", kind="primary", paid=paid, service=service)
    assert price.amount.minor == 8_400
    part = RateTable().due(table=TABLE, country="FR", kind="trade", paid=paid, service=service)
    assert part.amount.minor == 110
    assert part.facts == {"name": "TVA", "percent": "5.5", "country": "FR", "on": "service"}


@given(st.integers(1, 10**12), st.integers(0, 10**6))
def test_it_is_rounded_half_up_once_and_the_parts_give_the_gross(minor: int, ppm: int) -> None:
    rate = tax.Rate("*", "*", "price", ppm, "x")
    paid = Money(minor, "USD")
    due = tax.due(rate, country="", paid=paid, service=paid)
    exact = (Decimal(minor) * ppm / 10**6).quantize(Decimal(1), ROUND_HALF_UP)
    assert due.amount.minor == exact
    schedule = fees.built_in("onym-2026", currency="USD")
    price = Money(max(minor, 100), "USD")
    split = fees.split(price=price, schedule=schedule, tax=due.amount)
    parts = (split.proceeds, split.commission, split.fee, split.tax, split.share)
    assert sum(part.minor for part in parts) == split.gross.minor


WRONG = {
    "no TOML": "id =",
    "an unknown key": 'colour = "red"\n' + TABLE,
    "no version": TABLE.replace("version = 2", ""),
    "no day": TABLE.replace("effective_from = 2026-01-01", ""),
    "a country of three letters": TABLE.replace('"FR"', '"FRA"'),
    "a rate above all": TABLE.replace('"20"', '"101"'),
    "a rate below nothing": TABLE.replace('"20"', '"-1"'),
    "a rate in words": TABLE.replace('"20"', '"many"'),
    "a rate that is no exact number": TABLE.replace('"20"', "20.5"),
    "a rate too fine": TABLE.replace('"20"', '"20.00001"'),
    "another base": TABLE.replace('"service"', '"air"'),
    "a rate without a name": TABLE.replace('name = "TVA"', "", 1),
    "rates that are no list": 'id = "a"\nversion = 1\neffective_from = 2026-01-01\nrate = 4\n',
}


@pytest.mark.parametrize("what", WRONG)
def test_a_table_that_cannot_be_read_is_refused(what: str) -> None:
    with pytest.raises(Malformed):
        tax.parse(WRONG[what])


@pytest.mark.parametrize("typed", ["", "F", "FRA", "F1", "ف", "fr fr"])
def test_what_is_no_country_is_refused(typed: str) -> None:
    assert tax.country(" fr ") == "FR"
    with pytest.raises(Malformed):
        tax.country(typed)
