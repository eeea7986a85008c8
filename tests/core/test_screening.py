"""Which names are like a listed one, and which amounts a tier may move."""

from __future__ import annotations

import pytest

from onym.core import limits, screening
from onym.core.errors import AmountTooLarge, Malformed
from onym.core.money import Money

LISTED = ("Aleksandr Sample Petrov", "محمد أحمد النموذجي", "Acme Weapons Trading LLC")
LIKE = [
    # a member's name, the entry it is like
    ("Aleksandr Sample Petrov", LISTED[0]),
    ("PETROV, Aleksandr Sample", LISTED[0]),
    ("Aleksandr  Sämple-Petrov", LISTED[0]),
    ("Alexandr Sample Petrov", LISTED[0]),
    ("Dr. Aleksandr Sample Petrov jr.", LISTED[0]),
    ("محمد احمد النموذجى", LISTED[1]),
    ("ACME WEAPONS TRADING L.L.C.", LISTED[2]),
    ("Nadia Roux", None),
    ("Aleksandr", None),
    ("Sample Person", None),
    ("Peter Alexanderson", None),
    ("", None),
    ("…", None),
]


@pytest.mark.parametrize(("name", "entry"), LIKE)
def test_a_name_is_like_an_entry_or_not(name: str, entry: str | None) -> None:
    found = screening.match(name, LISTED)
    assert (found and found.entry) == entry
    assert found is None or found.percent >= 86


def test_an_empty_list_is_like_nobody() -> None:
    assert screening.match("Nadia Roux", ()) is None


TABLE = """
id = "house"
version = 1
effective_from = 2026-01-01

[[tier]]
name = "new"
[tier.USD]
price = "500"
card = "250.00"
bank_transfer = "1000"
payout = "100"

[[tier]]
name = "verified"
[tier.USD]
card = "10000"
"""
MAY = [
    # tier, what, cents, allowed
    ("new", "card", 25_000, True),
    ("new", "card", 25_001, False),
    ("new", "bank_transfer", 100_000, True),
    ("new", "bank_transfer", 100_001, False),
    ("new", "price", 50_001, False),
    ("new", "payout", 10_001, False),
    ("verified", "card", 1_000_000, True),
    ("verified", "card", 1_000_001, False),
    ("verified", "price", 10**15, True),
    ("", "card", 25_001, False),
    ("nobody knows", "card", 25_001, False),
]


@pytest.mark.parametrize(("tier", "what", "cents", "allowed"), MAY)
def test_a_tier_may_move_so_much_and_an_unknown_one_the_least(
    tier: str, what: str, cents: int, allowed: bool
) -> None:
    table = limits.parse(TABLE)
    if allowed:
        table.expect(Money(cents, "USD"), tier=tier, what=what)
    else:
        with pytest.raises(AmountTooLarge):
            table.expect(Money(cents, "USD"), tier=tier, what=what)


WRONG = {
    "no TOML": "id =",
    "no tier": 'id = "a"\nversion = 1\neffective_from = 2026-01-01\ntier = []\n',
    "an unknown limit": TABLE.replace("bank_transfer", "cheque"),
    "an unknown currency": TABLE.replace("tier.USD", "tier.XYZ"),
    "a tier without a name": TABLE.replace('name = "new"', ""),
    "a fraction of a cent": TABLE.replace("250.00", "250.001"),
    "no day": TABLE.replace("effective_from = 2026-01-01", 'effective_from = "soon"'),
}


@pytest.mark.parametrize("what", WRONG)
def test_limits_that_cannot_be_read_are_refused(what: str) -> None:
    with pytest.raises(Malformed):
        limits.parse(WRONG[what])
