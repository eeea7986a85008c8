"""Account numbers, references and what an arrival is good for, by published examples and tables."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onym.core import bank
from onym.core.bank import Arrival, Line, Statement
from onym.core.errors import (
    AccountMismatch,
    CurrencyMismatch,
    Malformed,
    Refusal,
    StatementGap,
    StatementUnbalanced,
)
from onym.core.money import Money

IBANS = (  # the IBAN registry's own examples
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "FR1420041010050500013M02606",
    "KW81CBKU0000000000001234560101",
    "MT84MALT011000012345MTLCAST001S",
    "NO9386011117947",
)


@pytest.mark.parametrize("number", IBANS)
def test_an_iban_of_the_registry_is_taken_in_groups_and_in_small_letters(number: str) -> None:
    grouped = " ".join(number[n : n + 4] for n in range(0, len(number), 4)).lower()
    assert bank.iban(grouped) == number


@pytest.mark.parametrize("number", IBANS)
def test_an_iban_with_one_wrong_digit_is_refused(number: str) -> None:
    last = "1" if number[-1] != "1" else "2"
    with pytest.raises(Malformed):
        bank.iban(number[:-1] + last)


@pytest.mark.parametrize("typed", ["", "DE89", "٨٩", "DE89 3704 0044 0532 0130 00; drop", "é" * 20])
def test_what_is_no_iban_is_refused(typed: str) -> None:
    with pytest.raises(Malformed):
        bank.iban(typed)


def test_the_standards_example_of_a_creditor_reference_is_found_where_its_length_is_ours() -> None:
    """ISO 11649's RF18 5390 0754 7034 has 12 characters after the digits; ours have 14."""
    assert bank._mod_97("539007547034" + "RF18") == 1
    assert bank.find_reference("RF18 5390 0754 7034") is None


@given(st.uuids(version=4))
def test_a_reference_is_found_again_in_whatever_a_payer_writes(id_: object) -> None:
    made = bank.reference(f"sal_{id_}")
    grouped = " ".join(made[n : n + 4] for n in range(0, len(made), 4))
    assert bank.reference(f"sal_{id_}") == made
    assert bank.REFERENCE.fullmatch(made)
    for text in (made, grouped, f"for the handle, {grouped.lower()}, thanks", f"ref:{made}/1"):
        assert bank.find_reference(text) == made


@given(st.uuids(version=4), st.integers(4, 17), st.sampled_from(bank.ALPHABET))
def test_a_reference_with_one_wrong_letter_is_no_reference(
    id_: object, place: int, letter: str
) -> None:
    made = bank.reference(f"sal_{id_}")
    assume(made[place].isdigit() == letter.isdigit())  # what mod 97 is sure to notice
    wrong = made[:place] + letter + made[place + 1 :]
    assert bank.find_reference(wrong) == (made if wrong == made else None)


def test_ten_thousand_sales_have_ten_thousand_references() -> None:
    assert len({bank.reference(f"sal_{n}") for n in range(10_000)}) == 10_000


ARRIVALS = [
    # gross, waits, before, comes, is
    (None, False, 0, 500, Arrival.UNKNOWN),
    (500, True, 0, 500, Arrival.EXACT),
    (500, True, 0, 499, Arrival.PARTIAL),
    (500, True, 499, 1, Arrival.EXACT),
    (500, True, 499, 2, Arrival.OVER),
    (500, True, 0, 501, Arrival.OVER),
    (500, False, 0, 500, Arrival.LATE),
    (500, False, 0, 1, Arrival.LATE),
]


@pytest.mark.parametrize(("gross", "waits", "before", "comes", "found"), ARRIVALS)
def test_what_comes_in_is_good_for(
    gross: int | None, waits: bool, before: int, comes: int, found: Arrival
) -> None:
    money = Money(gross, "USD") if gross is not None else None
    assert bank.match(gross=money, waits=waits, before_minor=before, minor=comes) is found


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.data())
def test_the_parts_that_are_drawn_give_what_is_wanted(
    rests: list[int], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, sum(rests)))
    taken = bank.draw(wanted, rests)
    assert sum(taken) == wanted
    assert all(0 <= part <= rest for part, rest in zip(taken, rests, strict=True))
    with pytest.raises(ValueError, match="suffice"):
        bank.draw(sum(rests) + 1, rests)


DAY = date(2026, 11, 27)
GOOD = Statement(
    "S1", IBANS[0], "USD", 1_000, 1_400, (Line("a", 500, "USD", DAY), Line("b", -100, "USD", DAY))
)
WRONG: list[tuple[dict[str, object], type[Refusal]]] = [
    ({"iban": IBANS[1]}, AccountMismatch),
    ({"currency": "EUR"}, CurrencyMismatch),
    ({"lines": (Line("a", 400, "EUR", DAY),)}, CurrencyMismatch),
    ({"closing_minor": 1_401}, StatementUnbalanced),
    ({"opening_minor": 999}, StatementUnbalanced),
    ({"opening_minor": 900, "closing_minor": 1_300}, StatementGap),
]


def test_a_whole_statement_that_follows_the_last_one_is_taken() -> None:
    bank.check(GOOD, iban=IBANS[0], currency="USD", closing_minor=1_000)
    bank.check(GOOD, iban=IBANS[0], currency="USD", closing_minor=None)


@pytest.mark.parametrize(("changes", "refusal"), WRONG)
def test_a_statement_that_is_not_ours_or_not_whole_is_refused(
    changes: dict[str, object], refusal: type[Refusal]
) -> None:
    import dataclasses

    wrong = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]  # a table's row
    with pytest.raises(refusal):
        bank.check(wrong, iban=IBANS[0], currency="USD", closing_minor=1_000)


WRITTEN = [
    ("Nadia Roux", "Nadia Roux"),
    ("Müller & Söhne", "Mueller . Soehne"),
    ("José Muñoz Åkesson", "Jose Munoz Akesson"),
    ("Łukasz Žižek, Ağaoğlu", "Lukasz Zizek, Agaoglu"),
    ("Œuvre Straße", "Oeuvre Strasse"),
    ("نادية", "....."),
]


@pytest.mark.parametrize(("text", "written"), WRITTEN)
def test_a_bank_is_told_a_name_in_the_letters_that_it_passes_on(text: str, written: str) -> None:
    assert bank.latin(text) == written


@pytest.mark.parametrize("name", ["Li Wu", "  José   Muñoz ", "O'Neill", "Łukasz", "ACME 24 GmbH"])
def test_an_account_holders_name_is_kept_as_it_is_written(name: str) -> None:
    assert bank.holder(name) == " ".join(name.split())


@pytest.mark.parametrize("name", ["", "X", "نادية المنصور", "Надя", "نادية Al", "12345", "N" * 71])
def test_a_name_that_a_bank_would_be_told_in_full_stops_is_none(name: str) -> None:
    with pytest.raises(Malformed):
        bank.holder(name)
