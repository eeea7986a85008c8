"""Whether a name may be one on a list: compared without accents, order of words or punctuation.

It finds candidates for a person to look at; it decides nothing by itself.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

ALIKE = 0.86
"""From here on two names are looked at by a person."""
ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"})


@lru_cache(maxsize=65_536)
def folded(name: str) -> str:
    """Small letters without marks, words in order of the alphabet."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(ARABIC))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
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
def match(name: str, listed: tuple[str, ...]) -> Match | None:
    """The entry that the name is most like, if like enough."""
    best = max(((likeness(name, entry), entry) for entry in listed), default=(0.0, ""))
    return Match(best[1], round(best[0] * 100)) if best[0] >= ALIKE else None
