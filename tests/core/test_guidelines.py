"""Periods by price, from data that says what is wrong with it."""

from __future__ import annotations

import pytest

from onym.core import guidelines
from onym.core.errors import CurrencyMismatch, Malformed
from onym.core.money import Money

RULES = guidelines.parse(guidelines.built_in())

BY_PRICE = [
    # currency, minor units, cooling-off hours, withdrawal hours, two people
    ("USD", 49_999, 0, 24, False),
    ("USD", 50_000, 24, 72, False),
    ("USD", 999_999, 24, 72, False),
    ("USD", 1_000_000, 72, 168, True),
    ("EUR", 1_000_000, 72, 168, True),
]


@pytest.mark.parametrize(("currency", "minor", "cooling", "withdrawal", "two"), BY_PRICE)
def test_waits_and_approvals_follow_the_price(
    currency: str, minor: int, cooling: int, withdrawal: int, two: bool
) -> None:
    price = Money(minor, currency)
    assert RULES.cooling_off(price).total_seconds() == cooling * 3600
    assert RULES.withdrawal_delay(price).total_seconds() == withdrawal * 3600
    assert RULES.needs_two(price) is two


def test_a_currency_without_a_figure_of_its_own_is_refused() -> None:
    with pytest.raises(CurrencyMismatch):
        RULES.needs_two(Money(1, "JPY"))


BROKEN = [
    ("", "id"),
    ("nonsense", "Expected"),
    (guidelines.built_in().replace("payment_hours = 72", 'payment_hours = "long"'), "unsupported"),
    (guidelines.built_in().replace("below = 500\n", "below = 20000\n"), "bands rise"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN)
def test_guidelines_that_cannot_be_read_say_why(text: str, told: str) -> None:
    with pytest.raises(Malformed, match=told):
        guidelines.parse(text)
