"""An operator's colours are readable, or refused with what to do about it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from onym.core import brand
from onym.core.errors import Malformed


def test_the_contrast_of_two_colours_is_that_of_wcag() -> None:
    assert brand.contrast("#000000", "#ffffff") == 21
    assert brand.contrast("#ffffff", "#ffffff") == 1
    # The published example of the lightest grey that passes on white.
    assert (
        brand.contrast("#767676", "#ffffff") > Fraction(9, 2) > brand.contrast("#777777", "#ffffff")
    )


READABLE = [("#0b5b6b", "#6ecfe0"), ("#7A0019", "#ffb4ab"), (" #000000 ", "#ffffff")]


@pytest.mark.parametrize(("light", "dark"), READABLE)
def test_two_readable_colours_become_the_accent(light: str, dark: str) -> None:
    chosen = brand.accents(light=light, dark=dark)
    sheet = brand.Brand(accents=chosen).sheet()
    assert sheet == f":root {{ --brand-light: {light.strip().lower()}; --brand-dark: {dark}; }}\n"


REFUSED = [
    ("#777777", "#6ecfe0", "ONYM_ACCENT_LIGHT: #777777 has a contrast of 4.1"),
    ("#0b5b6b", "#555555", "ONYM_ACCENT_DARK: #555555 has a contrast of 2.5"),
    ("#0b5b6b", "", "ONYM_ACCENT_DARK: write a colour as #rrggbb"),
    ("red", "#ffffff", "ONYM_ACCENT_LIGHT: write a colour as #rrggbb"),
    ("#000000;} *{x:y", "#ffffff", "ONYM_ACCENT_LIGHT: write a colour as #rrggbb"),
]


@pytest.mark.parametrize(("light", "dark", "said"), REFUSED)
def test_a_colour_that_cannot_be_read_is_refused_with_what_to_do(
    light: str, dark: str, said: str
) -> None:
    with pytest.raises(Malformed, match=said) as refused:
        brand.accents(light=light, dark=dark)
    assert "choose a" in refused.value.detail or "write a" in refused.value.detail


def test_a_contrast_is_never_said_to_reach_what_it_does_not() -> None:
    assert brand.tenths(Fraction(4_499_999, 1_000_000)) == "4.4"


@pytest.mark.parametrize("text", ["a\nb", "x" * 61, "team@onym", "a\u202eb", "a\x00"])
def test_a_name_that_would_break_a_title_or_a_header_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="ONYM_SITE_NAME"):
        brand.one_line("ONYM_SITE_NAME", text)


def test_a_language_has_its_own_name_before_the_one_for_all() -> None:
    found = brand.Brand(names={"": "Names & Co", "fr": "Noms & Cie"})
    assert (found.name("fr"), found.name("ar")) == ("Noms & Cie", "Names & Co")
    assert brand.Brand().name("en") is None
