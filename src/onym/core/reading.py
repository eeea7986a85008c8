"""How a handle reads: as a word, a name, a phrase, a number or nothing; tiers and appraisals ask.

docs/concepts/appraisal.md lists the kinds. Pure: the lexicon is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from onym.core.lexicon import Lexicon, Span, Word, fold

KINDS = (
    "number",
    "word",
    "first_name",
    "last_name",
    "term",
    "full_name",
    "phrase",
    "alphanumeric",
    "letters",
)
"""Digits only; a dictionary word; names; a string in common use that is in no dictionary; a first
name and a last name; two to four words; letters with digits; letters that say nothing."""

WORD_LEAST, FOREIGN_LEAST, TERM_LEAST, PART_LEAST = 2.0, 3.5, 3.0, 3.0
"""From these Zipf frequencies a string is a word, another language's word, a term, a part."""

DICTIONARY_LEAST, CULTURE_LEAST = 3.0, 4.0
"""The frequencies from which a tier may call it a dictionary word, a name that everybody knows."""

WORD_FACTS = ("dictionary_word", "first_name", "last_name", "brand", "culture")

FOREIGN_LEAD = 0.7
"""By how much another language's frequency must beat the English one to be the language."""

NAME_COUNTRIES = 2
WORLD_SPREAD = 7
"""In how many languages a string is common when it is more than somebody's name: "France"."""

PHRASE_WORDS = 4

SEPARATORS = re.compile(r"[_\-.]+")
AFFIXED_DIGITS = re.compile(r"^[0-9]+|[0-9]+$")
SMALL_WORDS = frozenset(
    """ai am an as at be by do eu go hi i if in is it me my no of oh ok on or so tv uk up us vr
    we""".split()  # noqa: SIM905 - a list of words reads best as a line of words
)

FUNCTION_WORDS = frozenset(
    """a about above across after again against all almost along already also although always am
    among an and another any anybody anyone anything are as at away be became because become been
    before behind being below between beyond both but by can cannot could did do does doing done
    during each either else enough even ever every few for from further had has have having he
    hence her here hers herself him himself his how however i if in indeed instead into is it its
    itself just least less many may maybe me might mine more moreover most much must my myself
    neither never nevertheless no nobody none nor not nothing now of off often on once one only
    onto or other others otherwise ought our ours ourselves out over own perhaps quite rather same
    shall she should since so some somebody someone something sometimes somewhere still such than
    that the their theirs them themselves then there thereby therefore these they this those though
    through throughout thus to together too toward towards under unless until unto up upon us very
    was we were what whatever when whenever where whereas wherever whether which whichever while
    who whoever whom whose why will with within without would yet you your yours yourself""".split()  # noqa: SIM905 - as above
)
"""English words that hold sentences together: common in texts, in little demand as handles."""

LONGEST_READ = 40
"""Longer handles are read by their characters only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`text` is folded and without separators; `stem` its letters without digits around them."""

    handle: str
    text: str
    stem: str
    kind: str
    language: str
    word: Word | None
    """What the lexicon knows of the text or, failing that, of its stem."""
    whole: bool
    """Whether `word` is the whole text."""
    parts: tuple[str, ...]
    """The words of a phrase, or of the best cut when nothing better is known."""
    zipfs: tuple[float, ...]
    """The frequency of each part, 0 for letters that are no word."""
    roughness: float

    @property
    def frequency(self) -> float:
        """The Zipf frequency that the kind rests on: of the word, or of the rarest part."""
        if self.word is not None and self.kind not in ("full_name", "phrase"):
            return max(self.word.english, self.word.other)
        return min(self.zipfs, default=0.0)


def read(handle: str, *, lexicon: Lexicon) -> Reading:
    """How `handle` (canonical, of any profile) reads."""
    text = fold(SEPARATORS.sub("", handle))
    stem = AFFIXED_DIGITS.sub("", text)
    known = lexicon.word(text)
    word = known if known is not None or stem == text else lexicon.word(stem)
    parts, zipfs = cut(stem, lexicon=lexicon) if 0 < len(stem) <= LONGEST_READ else ((), ())
    whole = known is not None
    kind = _kind(text, word if whole else None, parts, zipfs, lexicon)
    return Reading(
        handle=handle,
        text=text,
        stem=stem,
        kind=kind,
        language=_language(word) if word is not None else "",
        word=word,
        whole=whole,
        parts=parts,
        zipfs=zipfs,
        roughness=lexicon.roughness(stem),
    )


def facts(handle: str, lexicon: Lexicon) -> dict[str, bool | int | None]:
    """What a policy's tiers may ask of the text of `handle` (`onym.core.policy.FACTS`)."""
    return facts_of(read(handle, lexicon=lexicon))


def facts_of(read: Reading) -> dict[str, bool | int | None]:
    """`facts` of a handle that has been read already.

    `words` is None unless it falls into words. The flags of `word_facts` hold for a handle spelt
    exactly as the lexicon spells the word, so that a bulk engine finds them by a plain join.
    """
    exact = read.word if read.whole and read.handle == read.text and len(read.text) > 1 else None
    several = read.kind in ("phrase", "full_name")
    return {
        "length": len(read.handle),
        "letters": sum(c.isalpha() for c in read.handle),
        "digits": sum("0" <= c <= "9" for c in read.handle),
        "words": len(read.parts) if several else None,
        "full_name": read.kind == "full_name",
        "phrase": several,
        "readable": read.kind == "alphanumeric" and readable(read),
        **word_facts(exact),
    }


def word_facts(word: Word | None) -> dict[str, bool]:
    """The flags of a single string of two letters or more; all false for an unknown one."""
    if word is None:
        return dict.fromkeys(WORD_FACTS, False)
    kind, zipf = single(word), max(word.english, word.other)
    dictionary = kind == "word" and zipf >= DICTIONARY_LEAST
    brand = word.brand and not (word.dictionary and word.english >= WORD_LEAST)
    return {
        "dictionary_word": dictionary and not brand,
        "first_name": kind == "first_name" and not brand,
        "last_name": kind == "last_name" and not brand,
        "brand": brand,
        "culture": kind == "term" and not brand and _widely_known(word),
    }


def _widely_known(word: Word) -> bool:
    """A proper noun in common use, or a string in common use in most languages."""
    zipf = max(word.english, word.other)
    return zipf >= CULTURE_LEAST and (word.proper or word.spread >= WORLD_SPREAD)


def readable(read: Reading) -> bool:
    """Whether letters with digits before or after them read: studio54, but not k7q2."""
    return len(read.stem) > 2 and read.stem.isalpha() and read.frequency >= PART_LEAST


def cut(text: str, *, lexicon: Lexicon) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """`text` cut into the likeliest words (Viterbi over the lexicon's spans).

    The cost of a word is its surprise, −ln p = (9 − zipf)·ln 10, plus a fixed cost per part; a
    letter that belongs to no word costs more than any word's letter. Ties go to fewer parts.
    """
    size = len(text)
    best = [0.0] + [float("inf")] * size
    came: list[Span | None] = [None] * (size + 1)
    starts: list[list[Span]] = [[] for _ in range(size)]
    for span in lexicon.spans(text):
        starts[span.start].append(span)
    for at in range(size):
        here = best[at]
        if here + STRAY < best[at + 1]:
            best[at + 1], came[at + 1] = here + STRAY, Span(at, at + 1, 0.0)
        if text[at] == "i" and here + PART + I_COST < best[at + 1]:
            best[at + 1], came[at + 1] = here + PART + I_COST, Span(at, at + 1, 7.0)
        for span in starts[at]:
            if span.end - at == size and span.zipf < TERM_LEAST:
                continue
            cost = here + PART + (9.0 - span.zipf) * LN10
            if span.end - at == 2 and text[at : span.end] not in SMALL_WORDS:
                cost += SHORT
            if cost < best[span.end]:
                best[span.end], came[span.end] = cost, span
    return _back(text, came)


STRAY, PART, SHORT, I_COST, LN10 = 14.0, 1.0, 6.0, 5.0, 2.302585


def _back(text: str, came: list[Span | None]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The parts from the last to the first, neighbouring stray letters joined."""
    parts: list[str] = []
    zipfs: list[float] = []
    span = came[len(text)]
    while span is not None:
        if zipfs and zipfs[-1] == 0.0 == span.zipf:
            parts[-1] = text[span.start] + parts[-1]
        else:
            parts.append(text[span.start : span.end])
            zipfs.append(span.zipf)
        span = came[span.start] if span.start else None
    return tuple(parts[::-1]), tuple(zipfs[::-1])


def _kind(
    text: str,
    word: Word | None,
    parts: tuple[str, ...],
    zipfs: tuple[float, ...],
    lexicon: Lexicon,
) -> str:
    if text.isdecimal():
        return "number"
    if word is not None and len(text) > 1 and (kind := single(word)):
        return kind
    if any(c.isdecimal() for c in text):
        return "alphanumeric"
    if _full_name(parts, zipfs, lexicon):
        return "full_name"
    if 2 <= len(parts) <= PHRASE_WORDS and min(zipfs) >= PART_LEAST and _reads(parts):
        return "phrase"
    return "letters"


def single(word: Word) -> str:
    """The kind of a string that is in the lexicon as a whole, or "" when it is too rare."""
    if word.proper and word.first >= 3 * NAME_COUNTRIES:
        return "first_name"
    if word.dictionary and word.english >= WORD_LEAST:
        return "word"
    if word.spread >= WORLD_SPREAD and max(word.first, word.last) < 3 * NAME_COUNTRIES:
        return "term"
    if word.first >= NAME_COUNTRIES and word.first >= word.last:
        return "first_name"
    if word.last >= NAME_COUNTRIES:
        return "last_name"
    if word.other >= FOREIGN_LEAST and word.spread <= 2 and _language(word) != "en":
        return "word"
    if max(word.english, word.other) >= TERM_LEAST:
        return "term"
    return ""


def _language(word: Word) -> str:
    return word.language if word.other > word.english + FOREIGN_LEAD else "en"


def _full_name(parts: tuple[str, ...], zipfs: tuple[float, ...], lexicon: Lexicon) -> bool:
    if len(parts) != 2 or min(map(len, parts)) < 3 or 0.0 in zipfs:
        return False
    first, last = lexicon.word(parts[0]), lexicon.word(parts[1])
    return bool(first and last and first.first >= NAME_COUNTRIES and last.last >= 1)


def inner_separators(handle: str) -> int:
    """How many separators stand between other characters, not at the ends."""
    return sum(len(gap) for gap in SEPARATORS.findall(handle.strip("_-.")))


def _reads(parts: Iterable[str]) -> bool:
    return all(len(part) > 2 or part in SMALL_WORDS for part in parts)
