"""Lexicons for tests: a handful of words written down here, and the full one, built when its
sources have changed."""

from __future__ import annotations

import filecmp
import functools
import os
import shutil
from pathlib import Path

from onym.core.lexicon import Lexicon, Word
from onym.sweep import lexicon

KEPT = Path(__file__).resolve().parents[1] / "build" / "lexicon"
"""What was built last; a build takes one core for some twenty seconds."""


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
    """The whole lexicon: the one of DATA, which tests of the pages use, too."""
    path = Path(os.environ["ONYM_DATA"]) / lexicon.FILE_NAME
    lexicon.ensure(path)
    return path


def bring(path: Path) -> None:
    """What an earlier run built; a stale one is built again by whoever asks for it."""
    if KEPT.exists():
        shutil.copyfile(KEPT, path)


def keep(path: Path) -> None:
    """Leave what was built to the next run."""
    if path.exists() and not (KEPT.exists() and filecmp.cmp(path, KEPT, shallow=False)):
        KEPT.parent.mkdir(exist_ok=True)
        fresh = KEPT.with_name(f".{KEPT.name}.{os.getpid()}")
        shutil.copyfile(path, fresh)
        fresh.replace(KEPT)


@functools.cache
def full() -> Lexicon:
    return lexicon.load(full_path())
