"""Which names are like a listed one, and which amounts a tier may move."""

from __future__ import annotations

import pytest

from onym.core import limits, screening
from onym.core.errors import AmountTooLarge, Malformed, NameNeeded
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
    ("Aleks\u200dandr Sam\u00adple Pet\u200brov", LISTED[0]),
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
    found = screening.matches(name, LISTED)
    assert [one.entry for one in found] == [entry] * bool(entry)
    assert all(one.percent >= 86 for one in found)


def test_an_empty_list_is_like_nobody() -> None:
    assert screening.matches("Nadia Roux", ()) == ()


def test_every_entry_that_a_name_is_like_is_found_the_most_like_first() -> None:
    listed = ("Petrova, Aleksandra", "Aleksandr Petrov", "Alexandr Petrov", "Somebody Else")
    found = screening.matches("Aleksandr Petrov", (*listed, "Alexandr Petrov"))
    assert [one.entry for one in found] == ["Aleksandr Petrov", listed[0], "Alexandr Petrov"]
    assert found[0].percent == 100


@pytest.mark.parametrize("name", ["", "  ", "…", "12345", "🙂", "-_-"])
def test_without_a_letter_there_is_nothing_to_compare(name: str) -> None:
    with pytest.raises(NameNeeded) as told:
        screening.expect_named(name)
    assert told.value.facts == {"whose": "yours"}
    with pytest.raises(NameNeeded) as told:
        screening.expect_named(name, is_own=False)
    assert told.value.facts == {"whose": "theirs"}


@pytest.mark.parametrize("name", ["Li", "محمد", "Ó"])
def test_a_short_name_is_one(name: str) -> None:
    screening.expect_named(name)


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
