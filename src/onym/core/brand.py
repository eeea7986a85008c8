"""The market under an operator's own name and colours; docs/guides/branding.md.

A colour that could not be read on the pages' paper is refused before anybody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from onym.core.errors import Malformed

PAPER = {"light": "#f5f6f4", "dark": "#0f1214"}
"""What text stands on; the same colours as `--paper` of the style sheet."""

LEAST_CONTRAST = Fraction(9, 2)
"""WCAG 2.2, success criterion 1.4.3: text against what it stands on."""

COLOUR = re.compile(r"#[0-9a-f]{6}")
LOGOS = {".svg": "image/svg+xml", ".png": "image/png"}
PAGES = ("imprint", "terms", "privacy")


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture, as it is served."""

    data: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Brand:
    """What the operator has set; what is missing has the market's own.

    Names by language, with `""` for all languages; legal texts by page and language.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    accents: Mapping[str, str] = field(default_factory=dict)
    logo: Logo | None = None
    legal: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def name(self, language: str) -> str | None:
        """The site's name in a language; None: the market's own."""
        return self.names.get(language) or self.names.get("")

    def team(self, language: str) -> str | None:
        """How the handle team signs its mails; None: the market's own words."""
        return self.teams.get(language) or self.teams.get("")

    def sheet(self) -> str:
        """Style: the accent in place of the market's own, in light and in dark."""
        if not self.accents:
            return ""
        light, dark = (self.accents[theme] for theme in ("light", "dark"))
        return f":root {{ --brand-light: {light}; --brand-dark: {dark}; }}\n"


def accents(*, light: str, dark: str) -> dict[str, str]:
    """Two colours `#rrggbb`, or none. Refuses `malformed` what is half set or hard to read."""
    chosen = {"light": light.strip().lower(), "dark": dark.strip().lower()}
    if not any(chosen.values()):
        return {}
    for theme, colour in chosen.items():
        name = f"ONYM_ACCENT_{theme.upper()}"
        if not COLOUR.fullmatch(colour):
            raise Malformed(f"{name}: write a colour as #rrggbb, one for light and one for dark")
        found = contrast(colour, PAPER[theme])
        if found < LEAST_CONTRAST:
            way = "darker" if theme == "light" else "lighter"
            raise Malformed(
                f"{name}: {colour} has a contrast of {tenths(found)} on {PAPER[theme]}, and text "
                f"needs 4.5; choose a {way} colour"
            )
    return chosen


def contrast(one: str, other: str) -> Fraction:
    """WCAG 2.2's contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + Fraction(1, 20)) / (darker + Fraction(1, 20))


def tenths(ratio: Fraction) -> str:
    """A ratio for people, never rounded up to a limit that it does not reach."""
    return f"{int(ratio * 10) // 10}.{int(ratio * 10) % 10}"


def _luminance(colour: str) -> Fraction:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    red, green, blue = (_linear(Fraction(part, 255)) for part in parts)
    return (
        Fraction(2126, 10_000) * red + Fraction(7152, 10_000) * green + blue * Fraction(722, 10_000)
    )


def _linear(part: Fraction) -> Fraction:
    """WCAG 2.2, relative luminance; the power is taken to twelve digits."""
    if part <= Fraction(4045, 100_000):
        return part / Fraction(1292, 100)
    raised = float((part + Fraction(55, 1000)) / Fraction(1055, 1000)) ** 2.4
    return Fraction(raised).limit_denominator(10**12)


def one_line(name: str, text: str) -> str:
    """A name as set. Refuses `malformed` what would break a title or a mail's header."""
    value = text.strip()
    if len(value) > 60 or not value.isprintable() or "@" in value:
        raise Malformed(f"{name}: write one line of at most 60 characters without @")
    return value
