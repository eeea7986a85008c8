"""The lexicon answers whether a string is a word, a name or neither, in about a microsecond.

It reads one packed table (docs/concepts/appraisal.md, "The lexicon"); `onym.sweep.lexicon` builds
and maps it. Nothing here opens a file.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple
from zlib import crc32

from onym.core.errors import Malformed

MAGIC = b"ONYMLEX\n"
FORMAT = 1
HEADER_BYTES = 4096
RECORD_BYTES = 8
ZIPF_STEPS = 25
"""A record stores a Zipf frequency (log10 of uses per thousand million words) in 1/25 steps."""

LANGUAGES = ("en", "fr", "es", "de", "it", "pt", "nl", "ru", "ar", "tr", "id")
LONGEST_WORD = 20

DICTIONARY, PROPER, BRAND = 1, 2, 4

LETTERS = "abcdefghijklmnopqrstuvwxyz"
EDGE = len(LETTERS)
SYMBOLS = EDGE + 1
GRAM_STEPS = 16
"""A trigram's cost is stored in 1/16 bit."""

FOLDS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)


class Word(NamedTuple):
    """What the lexicon knows of one string; frequencies on the Zipf scale, 0 = not seen."""

    english: float
    other: float
    language: str
    """The language of `other`, the best of all but English."""
    spread: int
    """In how many languages the string is in common use."""
    dictionary: bool
    proper: bool
    brand: bool
    first: int
    last: int
    """In how many countries' lists it is a first name, a last name."""


class Span(NamedTuple):
    """A known word at text[start:end]; `zipf` is its best frequency in any language."""

    start: int
    end: int
    zipf: float


def fold(text: str) -> str:
    """Lower case without marks, so that "Éclair" is looked up as "eclair"."""
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFKD", text).lower().translate(FOLDS)
    return unicodedata.normalize("NFC", "".join(c for c in bare if not unicodedata.combining(c)))


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A packed table: hash slots → word numbers → (word, record), and a trigram table."""

    digest: str
    mask: int
    slots: memoryview
    offsets: memoryview
    blob: memoryview
    records: memoryview
    grams: memoryview

    @classmethod
    def over(cls, buffer: memoryview) -> Lexicon:
        """The table in `buffer`. Refusal: malformed (not a lexicon, another format, cut short)."""
        head = header(buffer)
        try:
            parts = {
                name: buffer[start : start + size] for name, (start, size) in head["parts"].items()
            }
            complete = all(len(parts[name]) == head["parts"][name][1] for name in parts)
            slots = parts["slots"].cast("I")
            if not complete or len(parts["grams"]) != SYMBOLS**3:
                raise Malformed("the lexicon is cut short")
            return cls(
                digest=head["digest"],
                mask=len(slots) - 1,
                slots=slots,
                offsets=parts["offsets"].cast("I"),
                blob=parts["blob"],
                records=parts["records"],
                grams=parts["grams"],
            )
        except (KeyError, TypeError, ValueError):
            raise Malformed("the lexicon is damaged") from None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def find(self, key: bytes) -> int:
        """The number of the word spelt `key` (folded, UTF-8), or -1."""
        slot = crc32(key) & self.mask
        while number := self.slots[slot]:
            if self.blob[self.offsets[number - 1] : self.offsets[number]] == key:
                return number - 1
            slot = (slot + 1) & self.mask
        return -1

    def word(self, text: str) -> Word | None:
        """What is known of `text`, which is folded first."""
        number = self.find(fold(text).encode())
        return None if number < 0 else self.record(number)

    def spelling(self, number: int) -> str:
        return str(self.blob[self.offsets[number] : self.offsets[number + 1]], "utf-8")

    def record(self, number: int) -> Word:
        at = number * RECORD_BYTES
        english, other, language, flags, first, last, spread, _ = self.records[at : at + 8]
        return Word(
            english / ZIPF_STEPS,
            other / ZIPF_STEPS,
            LANGUAGES[language],
            spread,
            bool(flags & DICTIONARY),
            bool(flags & PROPER),
            bool(flags & BRAND),
            first,
            last,
        )

    def spans(self, text: str) -> list[Span]:
        """Every known word of two letters or more inside folded `text`, by where it starts."""
        key, found = text.encode(), []
        slots, offsets, blob, mask, records = (
            self.slots,
            self.offsets,
            self.blob,
            self.mask,
            self.records,
        )
        size = len(key)
        if size != len(text):
            return []
        for start in range(size - 1):
            for end in range(start + 2, min(size, start + LONGEST_WORD) + 1):
                part = key[start:end]
                slot = crc32(part) & mask
                while number := slots[slot]:
                    if blob[offsets[number - 1] : offsets[number]] == part:
                        at = (number - 1) * RECORD_BYTES
                        zipf = max(records[at], records[at + 1]) / ZIPF_STEPS
                        found.append(Span(start, end, zipf))
                        break
                    slot = (slot + 1) & mask
        return found

    def roughness(self, text: str) -> float:
        """Mean bits per letter under the trigrams of real words: 3 reads well, 7 is noise.

        Only a–z count; other characters are passed over. No letters: 0.
        """
        codes = [EDGE, EDGE, *(ord(c) - 97 for c in text if "a" <= c <= "z"), EDGE]
        if len(codes) == 3:
            return 0.0
        grams, total = self.grams, 0
        for i in range(2, len(codes)):
            total += grams[(codes[i - 2] * SYMBOLS + codes[i - 1]) * SYMBOLS + codes[i]]
        return total / GRAM_STEPS / (len(codes) - 2)


def header(buffer: memoryview) -> dict[str, Any]:
    """The table's JSON header. Refusal: malformed."""
    raw = bytes(buffer[:HEADER_BYTES])
    if not raw.startswith(MAGIC):
        raise Malformed("not a lexicon")
    try:
        head = json.loads(raw[len(MAGIC) :].rstrip(b"\0"))
    except ValueError:
        raise Malformed("the lexicon's header is damaged") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise Malformed("the lexicon has another format")
    return head


def aligned(size: int) -> int:
    """Parts start at multiples of eight bytes, so that they may be read as integers."""
    return ceil(size / 8) * 8
