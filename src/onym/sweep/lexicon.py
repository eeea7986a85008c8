"""The lexicon file: built once from word and name lists in a process of its own, then mapped.

The sources (wordfreq, web2, Faker's name lists) are large and some are share-alike, so they are
read only by `python -m onym.sweep.lexicon FILE`, never by a server; see docs/concepts/appraisal.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from onym.core import lexicon, reading
from onym.core.errors import Malformed
from onym.core.lexicon import Lexicon, Word

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

FILE_NAME = "lexicon"
BUILD_SECONDS = 300

ENGLISH_LEAST, OTHER_LEAST, SCRIPT_LEAST, COMMON = 1.6, 3.2, 3.6, 3.5
"""Zipf frequencies: kept at all in English, elsewhere, in a script of its own; in common use."""

LATIN = re.compile(r"[a-z][a-z0-9]{0,19}")
ENDINGS = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ed", ""),
    ("ed", "e"),
    ("ing", ""),
    ("ing", "e"),
    ("er", ""),
    ("er", "e"),
    ("ers", ""),
    ("ers", "e"),
    ("est", ""),
    ("ly", ""),
)

CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya".replace(
            "-", "_"
        ).split(),
        strict=True,
    )
)

ARABIC = {
    "ا": "a", "أ": "a", "إ": "i", "آ": "a", "ب": "b", "ت": "t", "ث": "th", "ج": "j", "ح": "h",
    "خ": "kh", "د": "d", "ذ": "th", "ر": "r", "ز": "z", "س": "s", "ش": "sh", "ص": "s", "ض": "d",
    "ط": "t", "ظ": "z", "ع": "a", "غ": "gh", "ف": "f", "ق": "q", "ك": "k", "ل": "l", "م": "m",
    "ن": "n", "ه": "h", "و": "w", "ي": "y", "ى": "a", "ة": "a", "ئ": "i", "ؤ": "o", "ء": "",
}  # fmt: skip
ARABIC_LONG = {"و": ("o", "u"), "ي": ("i",)}
ARABIC_SHORT = ("a", "i", "u")


def load(path: Path) -> Lexicon:
    """The lexicon in `path`, mapped: its pages are shared by all processes that map it.

    Refusals: malformed (damaged, or of another format); OSError when there is no such file.
    """
    with path.open("rb") as file:
        try:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise Malformed("the lexicon is empty") from None
    return Lexicon.over(memoryview(pages))


def fresh(path: Path) -> bool:
    """Whether `path` holds a lexicon that this version can read."""
    try:
        load(path)
    except (OSError, Malformed):
        return False
    return True


def ensure(path: Path) -> Lexicon:
    """The lexicon in `path`, built first when it is missing or unreadable.

    OSError when the build fails, with the builder's last line.
    """
    if not fresh(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "onym.sweep.lexicon", str(path)]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise OSError(f"the lexicon could not be built: {last}")
    return load(path)


def word_table(words: Lexicon) -> pa.Table:
    """`word` and the flags of `reading.word_facts`, a row for each word with at least one."""
    import pyarrow as pa

    rows: dict[str, list[Any]] = {name: [] for name in ("word", *reading.WORD_FACTS)}
    for number in range(len(words)):
        flags = reading.word_facts(words.record(number))
        spelling = words.spelling(number)
        if len(spelling) > 1 and any(flags.values()):
            rows["word"].append(spelling)
            for name in reading.WORD_FACTS:
                rows[name].append(flags[name])
    return pa.table(rows)


def build(path: Path) -> None:
    """Gather every list and write the table to `path` by rename."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory")
    write(path, gather())


def write(path: Path, words: Mapping[str, Word]) -> None:
    """Pack `words` into `path`, by rename, so that a reader sees the old table or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".lexicon-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pack(words))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def pack(words: Mapping[str, Word]) -> bytes:
    """The table's bytes: equal words give equal bytes."""
    keys = sorted(words, key=str.encode)
    blob = b"".join(map(str.encode, keys))
    parts = {
        "slots": _slots(keys),
        "offsets": _offsets(keys),
        "records": b"".join(_record(words[key]) for key in keys),
        "grams": _grams(key for key in keys if _teaches_sound(words[key])),
        "blob": blob,
    }
    places, at = {}, lexicon.HEADER_BYTES
    for name, part in parts.items():
        places[name] = (at, len(part))
        at = lexicon.aligned(at + len(part))
    body = b"".join(part.ljust(lexicon.aligned(len(part)), b"\0") for part in parts.values())
    digest = hashlib.sha256(body).hexdigest()
    head = {"format": lexicon.FORMAT, "words": len(keys), "digest": digest, "parts": places}
    return (lexicon.MAGIC + json.dumps(head).encode()).ljust(lexicon.HEADER_BYTES, b"\0") + body


def _slots(keys: list[str]) -> bytes:
    """Open addressing, at most half full."""
    size = 1 << max(4, (2 * len(keys)).bit_length())
    slots = array("I", bytes(4 * size))
    for number, key in enumerate(keys):
        slot = crc32(key.encode()) & (size - 1)
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        slots[slot] = number + 1
    return slots.tobytes()


def _offsets(keys: list[str]) -> bytes:
    ends = array("I", [0])
    for key in keys:
        ends.append(ends[-1] + len(key.encode()))
    return ends.tobytes()


def _record(word: Word) -> bytes:
    flags = word.dictionary * lexicon.DICTIONARY | word.proper * lexicon.PROPER
    flags |= word.brand * lexicon.BRAND
    return bytes(
        (
            round(word.english * lexicon.ZIPF_STEPS),
            round(word.other * lexicon.ZIPF_STEPS),
            lexicon.LANGUAGES.index(word.language),
            flags,
            min(255, word.first),
            min(255, word.last),
            word.spread,
            0,
        )
    )


def _teaches_sound(word: Word) -> bool:
    return word.dictionary or word.other >= COMMON or bool(word.first) or bool(word.last)


def _grams(keys: Iterable[str]) -> bytes:
    """−log2 of trigram probabilities, one half added to each count."""
    triples: Counter[tuple[int, int, int]] = Counter()
    for key in keys:
        if key.isascii() and key.isalpha():
            codes = [lexicon.EDGE, lexicon.EDGE, *(ord(c) - 97 for c in key), lexicon.EDGE]
            triples.update(zip(codes, codes[1:], codes[2:], strict=False))
    pairs: Counter[tuple[int, int]] = Counter()
    for (a, b, _), count in triples.items():
        pairs[a, b] += count
    table = bytearray()
    for a in range(lexicon.SYMBOLS):
        for b in range(lexicon.SYMBOLS):
            whole = pairs[a, b] + lexicon.SYMBOLS / 2
            for c in range(lexicon.SYMBOLS):
                bits = -math.log2((triples[a, b, c] + 0.5) / whole)
                table.append(min(255, round(bits * lexicon.GRAM_STEPS)))
    return bytes(table)


def gather() -> dict[str, Word]:
    """Every word and name of every source, by its folded spelling."""
    english, other = _english(), _others()
    first, last = _names("first"), _names("last")
    common, proper = _web2()
    modern, brands = _by_hand()
    common |= modern
    words = {}
    for key in english.keys() | other.keys() | first.keys() | last.keys() | brands:
        elsewhere = other.get(key, {})
        language = max(elsewhere, key=lambda name: (elsewhere[name], name), default="en")
        here = english.get(key, 0.0)
        words[key] = Word(
            here,
            elsewhere.get(language, 0.0),
            language,
            sum(zipf >= COMMON for zipf in (here, *elsewhere.values())),
            here >= reading.WORD_LEAST and _in_dictionary(key, common),
            key in proper,
            key in brands,
            first[key],
            last[key],
        )
    return words


def _frequencies(language: str, least: float) -> Iterator[tuple[str, float]]:
    from wordfreq import get_frequency_dict

    smallest = 10 ** (least - 9)
    for word, share in get_frequency_dict(language, "best").items():
        if share >= smallest:
            yield word, min(math.log10(share) + 9, 10.0)


def _english() -> dict[str, float]:
    found: dict[str, float] = {}
    for word, zipf in _frequencies("en", ENGLISH_LEAST):
        key = lexicon.fold(word)
        if LATIN.fullmatch(key):
            found[key] = max(zipf, found.get(key, 0.0))
    return found


def _others() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for language in lexicon.LANGUAGES[1:]:
        for word, zipf in _frequencies(language, OTHER_LEAST):
            for key in _spellings(word, language, zipf):
                found[key][language] = max(zipf, found[key].get(language, 0.0))
    return found


def _spellings(word: str, language: str, zipf: float) -> Iterator[str]:
    """The folded word, or its Latin forms and, when it is common, the word in its own script."""
    key = lexicon.fold(word)
    if LATIN.fullmatch(key):
        yield key
        if language == "de":
            yield lexicon.fold(word.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue"))
    elif language in ("ru", "ar") and key.isalpha() and zipf >= SCRIPT_LEAST:
        yield key
        yield from (form for form in romanised(key) if LATIN.fullmatch(form))


def romanised(word: str) -> list[str]:
    """Latin spellings of a Russian or Arabic word, as people type them; none for other scripts.

    Arabic writes no short vowels: the forms leave them out, or put a, i or u between consonants.
    """
    if all(c in CYRILLIC for c in word):
        return ["".join(CYRILLIC[c] for c in word).replace("_", "")]
    if all(c in ARABIC for c in word):
        return sorted(set(_arabic(word)))
    return []


def _arabic(word: str) -> Iterator[str]:
    for short in ("", *ARABIC_SHORT):
        for long in (0, 1):
            form, after = "", "vowel"
            for place, c in enumerate(word):
                inside = place > 0 and c in ARABIC_LONG and after == "consonant"
                if inside:
                    choices = ARABIC_LONG[c]
                    form, after = form + choices[min(long, len(choices) - 1)], "vowel"
                elif ARABIC[c] in ("a", "i", "o", ""):
                    form, after = form + ARABIC[c], "vowel"
                else:
                    form += short if after == "consonant" else ""
                    form, after = form + ARABIC[c], "consonant"
            yield form


def _names(part: str) -> Counter[str]:
    """In how many of Faker's countries a name is listed, by folded or romanised spelling."""
    found: Counter[str] = Counter()
    for locale in _locales():
        provider = import_module(f"faker.providers.person.{locale}").Provider
        lists = (name for name in dir(provider) if name.startswith(part) and "name" in name)
        names: set[str] = set()
        for name in lists:
            value = getattr(provider, name)
            if isinstance(value, (tuple, list, Mapping)):
                names.update(form for one in value for form in _name_spellings(str(one)))
        found.update(names)
    return found


def _locales() -> list[str]:
    faker = import_module("faker.providers.person")
    return sorted(
        folder.name
        for folder in Path(str(faker.__file__)).parent.iterdir()
        if re.fullmatch(r"[a-z]{2}_[A-Z]{2}", folder.name)
    )


def _name_spellings(name: str) -> Iterator[str]:
    key = lexicon.fold(name)
    if re.fullmatch(r"[a-z]{2,19}", key):
        yield key
    else:
        yield from (form for form in romanised(key) if re.fullmatch(r"[a-z]{3,19}", form))


def _web2() -> tuple[set[str], set[str]]:
    """Webster's Second: its common words, and its proper nouns in lower case."""
    from english_words import (  # type: ignore[import-untyped]  # ships no types
        get_english_words_set,
    )

    words = get_english_words_set(["web2"])
    common = {word for word in words if word.islower()}
    return common, {word.lower() for word in words if not word.islower()}


def _by_hand() -> tuple[set[str], set[str]]:
    """Words younger than Webster, and brands: core/data/lexicon-words.toml."""
    file = resources.files("onym.core") / "data" / "lexicon-words.toml"
    lists = tomllib.loads(file.read_text("utf-8"))
    return set(lists["modern"].split()), set(lists["brands"].split())


def _in_dictionary(key: str, common: set[str]) -> bool:
    """Itself or, since Webster lists no inflected forms, what is left without an ending."""
    if key in common:
        return True
    stems = (key[: -len(end)] + new for end, new in ENDINGS if key.endswith(end) and len(key) > 3)
    return any(
        stem in common or (len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in common)
        for stem in stems
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]))
