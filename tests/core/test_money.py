"""Amounts are whole, of one currency, and divided without loss."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core.errors import AmountTooLarge, AmountTooSmall, CurrencyMismatch, Malformed
from onym.core.money import MAX_MINOR, Money, allocate


@given(
    st.integers(0, MAX_MINOR),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=9).filter(any),
)
def test_the_parts_sum_to_the_whole_and_none_is_off_by_more_than_one(
    total: int, weights: list[int]
) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert 0 <= part * sum(weights) - total * weight + sum(weights) - 1 < 2 * sum(weights)


ALLOCATED = [
    (100, [1, 1, 1], [34, 33, 33]),
    (1, [1, 1], [1, 0]),
    (0, [1], [0]),
    (7, [0, 1], [0, 7]),
]


@pytest.mark.parametrize(("total", "weights", "parts"), ALLOCATED)
def test_odd_units_go_to_the_first_parts(total: int, weights: list[int], parts: list[int]) -> None:
    assert allocate(total, weights) == parts


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, []), (1, [0]), (1, [2, -1])])
def test_what_cannot_be_divided_is_a_fault(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="allocate"):
        allocate(total, weights)


NAMED: list[tuple[Any, type[Exception] | None]] = [
    (1, None),
    (MAX_MINOR, None),
    (0, AmountTooSmall),
    (-1, AmountTooSmall),
    (MAX_MINOR + 1, AmountTooLarge),
    (1.0, Malformed),
    ("1", Malformed),
    (True, Malformed),
]


@pytest.mark.parametrize(("minor", "refusal"), NAMED)
def test_a_person_names_whole_amounts_between_one_and_ten_to_the_fifteen(
    minor: Any, refusal: type[Exception] | None
) -> None:
    if refusal is None:
        assert Money.positive(minor, "USD").minor == minor
    else:
        with pytest.raises(refusal):
            Money.positive(minor, "USD")


def test_two_currencies_are_never_added() -> None:
    for add in (
        lambda: Money(1, "USD") + Money(1, "EUR"),
        lambda: Money(1, "USD") - Money(1, "EUR"),
    ):
        with pytest.raises(CurrencyMismatch):
            add()
    assert Money(3, "USD") - Money(5, "USD") == -Money(2, "USD")
