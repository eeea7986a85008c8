"""Whether a name may be one on a list: compared without accents, order of words or punctuation.

It finds candidates for a person to look at; it decides nothing by itself. Who has given no name
cannot be compared, and is asked for one. See docs/guides/screening.md.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from onym.core.errors import NameNeeded

ALIKE = 0.86
"""From here on two names are looked at by a person."""
ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"})


@lru_cache(maxsize=65_536)
def folded(name: str) -> str:
    """Small letters without marks or what cannot be seen, words in order of the alphabet."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(ARABIC))
    unseen = ("Mn", "Me", "Cf")
    letters = "".join(letter for letter in plain if unicodedata.category(letter) not in unseen)
    return " ".join(sorted(re.findall(r"\w+", letters)))


def likeness(one: str, other: str) -> float:
    """0 to 1; a name that holds all words of the other counts as the same."""
    a, b = folded(one), folded(other)
    if not a or not b:
        return 0.0
    words, listed = set(a.split()), set(b.split())
    if len(listed) > 1 and listed <= words:
        return 1.0
    compare = SequenceMatcher(None, a, b, autojunk=False)
    if compare.real_quick_ratio() < ALIKE or compare.quick_ratio() < ALIKE:
        return 0.0
    return compare.ratio()


@dataclass(frozen=True, slots=True)
class Match:
    """An entry of the list that a name is like, in hundredths."""

    entry: str
    percent: int


@lru_cache(maxsize=4_096)
def matches(name: str, listed: tuple[str, ...]) -> tuple[Match, ...]:
    """Every entry that the name is like enough: that it is not one of them says nothing of the
    others. The most like first.
    """
    rated = ((likeness(name, entry), entry) for entry in dict.fromkeys(listed))
    found = [Match(entry, round(rate * 100)) for rate, entry in rated if rate >= ALIKE]
    return tuple(sorted(found, key=lambda one: (-one.percent, one.entry)))


def is_name(text: str) -> bool:
    """Whether there is a letter in it: without one there is nothing to compare."""
    return any(letter.isalpha() for letter in text)


def expect_named(name: str, *, is_own: bool = True) -> None:
    """Refuses `name_needed`, to the nameless themselves or to who deals with them."""
    if is_name(name):
        return
    if is_own:
        raise NameNeeded("give your name first", whose="yours")
    raise NameNeeded("the other side has not given a name yet", whose="theirs")
