"""What a tier looks at: the shape of a handle, and how it reads when a lexicon has read it."""

from __future__ import annotations

import unicodedata
from typing import Any

from onym.core.reading import Reading


def shape(canonical: str) -> dict[str, Any]:
    """The facts that a canonical handle shows by itself; lengths count characters."""
    return {
        "length": len(canonical),
        "letters": sum(unicodedata.category(char).startswith("L") for char in canonical),
        "digits": sum(char in "0123456789" for char in canonical),
    }


def read(reading: Reading) -> dict[str, Any]:
    """`shape`, and what its reading says; brands and culture stay unknown: no list of them here."""
    words = len(reading.parts)
    return shape(reading.handle) | {
        "words": words,
        "dictionary_word": reading.kind == "word",
        "first_name": reading.kind == "first_name",
        "last_name": reading.kind == "last_name",
        "full_name": reading.kind == "full_name",
        "phrase": reading.kind == "phrase",
        "readable": reading.kind == "alphanumeric" and words > 0 and min(reading.zipfs) > 0,
    }
