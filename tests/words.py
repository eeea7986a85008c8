"""Lexicons for tests: a handful of words written down here, and the full one, built once a run."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from onym.core.lexicon import Lexicon, Word
from onym.sweep import lexicon


def word(
    english: float = 0.0,
    *,
    other: float = 0.0,
    language: str = "en",
    spread: int = 1,
    dictionary: bool = False,
    proper: bool = False,
    brand: bool = False,
    first: int = 0,
    last: int = 0,
) -> Word:
    """One entry; frequencies on the Zipf scale."""
    return Word(english, other, language, spread, dictionary, proper, brand, first, last)


WORDS = {
    "handle": word(4.8, dictionary=True, spread=2),
    "moon": word(4.72, dictionary=True, spread=9),
    "sunset": word(4.04, dictionary=True),
    "open": word(5.5, dictionary=True),
    "market": word(5.28, dictionary=True),
    "smart": word(4.84, dictionary=True),
    "home": word(5.8, dictionary=True),
    "through": word(5.9, dictionary=True),
    "thought": word(5.9, dictionary=True),
    "them": word(6.4, dictionary=True),
    "oon": word(1.7),
    "casino": word(4.16, dictionary=True, spread=9),
    "aglet": word(2.2, dictionary=True),
    "the": word(7.7, dictionary=True),
    "studio": word(5.0, dictionary=True),
    "google": word(4.9, spread=11, brand=True),
    "slack": word(3.9, dictionary=True, brand=True),
    "london": word(5.3, spread=10, proper=True),
    "james": word(5.1, dictionary=True, proper=True, first=20, last=3, spread=9),
    "john": word(5.4, proper=True, first=20, spread=9),
    "smith": word(4.9, dictionary=True, proper=True, first=1, last=8),
    "garcia": word(4.2, other=4.84, language="es", last=9, first=1),
    "banque": word(2.5, other=4.9, language="fr"),
    "novosti": word(2.2, other=5.4, language="ru"),
    "سلام": word(other=4.9, language="ar"),
    "qx": word(1.6),
}


@functools.cache
def small() -> Lexicon:
    return Lexicon.over(memoryview(lexicon.pack(WORDS)))


@functools.cache
def full_path() -> Path:
    """The whole lexicon, built in a process of its own by the first test that asks."""
    folder = Path(tempfile.mkdtemp(prefix="onym-lexicon-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lexicon.ensure(folder / lexicon.FILE_NAME)
    return folder / lexicon.FILE_NAME


@functools.cache
def full() -> Lexicon:
    return lexicon.load(full_path())
