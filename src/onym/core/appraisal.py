"""An appraisal is an estimate with named factors that multiply out to it; it is never a price.

mid = base × Π(1 + percent/100), recomputed from the percents as printed. docs/concepts/appraisal.md
explains the factors, what they were learned from and how far off they are.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from itertools import pairwise
from math import exp, log, log10
from typing import Any

from onym.core import reading
from onym.core.lexicon import Lexicon, Word
from onym.core.money import MAX_MINOR, MINOR_DIGITS, Money
from onym.core.reading import Reading

DEFAULT_BASE = Money(50_000, "USD")
"""The level of a plain phrase of two words and ten letters; the operator's to set."""


def default_base(currency: str) -> Money:
    """The default level in another currency: the same figure, for want of an exchange rate."""
    return Money(DEFAULT_BASE.minor // 100 * 10 ** MINOR_DIGITS[currency], currency)


PERCENT_STEPS = 100
"""Percents are rounded to two decimals before they are multiplied."""

LEAST_STEPS, MOST_STEPS = -9_999, 10**9
"""A single factor never makes a handle worth nothing, and never lifts it beyond ×100,001."""

Feature = tuple[str, str, float]
"""(factor, feature, value); a factor's logarithm is the sum of weight × value of its features."""

ROUGH = 5.0
"""Bits per letter from which letters are noise."""

TRADE_ZIPF = (0.0, 0.0, 3.75, 4.25)
"""The least Zipf frequency that a trade word of each strength is weighed with."""

ENDINGS = ("able", "ness", "ing", "ly", "ed", "al", "s")
GROUPS = {
    "number": "number",
    "alphanumeric": "alphanumeric",
    "letters": "letters",
    "phrase": "phrase",
    "full_name": "phrase",
}
LOOKS = (
    ("0", "o"),
    ("1", "l"),
    ("3", "e"),
    ("4", "a"),
    ("5", "s"),
    ("7", "t"),
    ("rn", "m"),
    ("vv", "w"),
)


@dataclass(frozen=True, slots=True)
class Factor:
    """One named reason; `percent` has at most two decimals and is above −100."""

    name: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """A public sale that an appraisal is shown beside."""

    handle: str
    price: Money
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """mid = base × Π(1 + percent/100); low and high: the error's 10 % and 90 % quantiles."""

    low: Money
    mid: Money
    high: Money
    base: Money
    factors: tuple[Factor, ...]
    comparables: tuple[Comparable, ...] = ()

    def wire(self) -> dict[str, Any]:
        """As the API and the command line answer it."""
        return {
            "low": _money(self.low),
            "mid": _money(self.mid),
            "high": _money(self.high),
            "base": _money(self.base),
            "factors": [{"name": one.name, "percent": one.percent} for one in self.factors],
            "comparables": [
                {
                    "handle": one.handle,
                    "price": _money(one.price),
                    "at": one.at.isoformat().replace("+00:00", "Z"),
                }
                for one in self.comparables
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Weights by `factor.feature`, as natural logarithms; the error's quantiles as hundredths of
    a percent of mid; `trades` the strength of each trade word; `parts` what the sales taught about
    single words inside phrases."""

    version: int
    weights: Mapping[str, float]
    parts: Mapping[str, float]
    trades: Mapping[str, int]
    low_steps: int
    high_steps: int


def appraise(
    handle: str,
    *,
    lexicon: Lexicon,
    model: Model,
    base: Money = DEFAULT_BASE,
    refs: int | None = None,
    age: float | None = None,
    demand: int | None = None,
    comparables: Iterable[Comparable] = (),
) -> Appraisal:
    """What `handle` (canonical) may be worth.

    `refs` counts inbound references, `age` is in years, `demand` counts people who watch, ask or
    offer; None = unknown, which counts neither way. The product is formed in whole numbers and
    rounded once, half up, to the minor unit; low and high follow from mid in the same way.
    """
    return of_reading(
        reading.read(handle, lexicon=lexicon),
        lexicon=lexicon,
        model=model,
        base=base,
        refs=refs,
        age=age,
        demand=demand,
        comparables=comparables,
    )


def of_reading(
    read: Reading,
    *,
    lexicon: Lexicon,
    model: Model,
    base: Money = DEFAULT_BASE,
    refs: int | None = None,
    age: float | None = None,
    demand: int | None = None,
    comparables: Iterable[Comparable] = (),
) -> Appraisal:
    """`appraise` for a handle that has been read already, as for its tier."""
    steps = _steps(_sums(_told(read, lexicon, model, refs, age, demand), model))
    mid = _product(base.minor, steps.values())
    return Appraisal(
        low=Money(_product(mid, [model.low_steps]), base.currency),
        mid=Money(mid, base.currency),
        high=Money(_product(mid, [model.high_steps]), base.currency),
        base=base,
        factors=tuple(Factor(name, step / PERCENT_STEPS) for name, step in steps.items()),
        comparables=tuple(comparables),
    )


def score(handle: str, *, lexicon: Lexicon, model: Model) -> float:
    """ln(mid/base) before rounding, of the handle's text alone: for ranking many handles."""
    read = reading.read(handle, lexicon=lexicon)
    return sum(_sums(_told(read, lexicon, model, None, None, None), model).values())


def features(read: Reading, *, lexicon: Lexicon, trades: Mapping[str, int]) -> Iterator[Feature]:
    """What the model sees of a handle's text."""
    group = GROUPS.get(read.kind, "word")
    yield from _length(read, group)
    yield from _characters(read)
    if group == "word" and read.word is not None:
        yield from _word(read, read.word, TRADE_ZIPF[trades.get(read.text, 0)])
    else:
        yield from _seen(read)
    if read.text in trades:
        yield "trade", f"word_{trades[read.text]}", 1.0
    if group == "phrase":
        yield from _phrase(read, trades)
    elif group == "letters":
        yield from _sound(read)
    if read.kind in ("letters", "alphanumeric") and _looks_like_a_word(read.text, lexicon):
        yield "look_alike", "word", 1.0


def nearest(
    handle: str, sales: Iterable[Comparable], *, lexicon: Lexicon, count: int = 5
) -> tuple[Comparable, ...]:
    """The sales most like `handle`: of its kind, then by length and frequency, then the latest."""
    own = reading.read(handle, lexicon=lexicon)

    def distance(sale: Comparable) -> tuple[float, float, str]:
        other = reading.read(sale.handle, lexicon=lexicon)
        apart = abs(len(own.text) - len(other.text)) + abs(own.frequency - other.frequency)
        return apart + 3.0 * (own.kind != other.kind), -sale.at.timestamp(), sale.handle

    others = (sale for sale in sales if sale.handle != handle)
    return tuple(sorted(others, key=distance)[:count])


@cache
def built_in() -> Model:
    """The model shipped with the package."""
    data = resources.files("onym.core") / "data"
    fitted = json.loads((data / "appraisal-model.json").read_text("utf-8"))
    return Model(
        version=fitted["version"],
        weights=fitted["weights"],
        parts=fitted["parts"],
        trades=built_in_trades(),
        low_steps=fitted["low_steps"],
        high_steps=fitted["high_steps"],
    )


@cache
def built_in_trades() -> dict[str, int]:
    """Trade words and their strength, 1 to 3; a word listed twice has the higher one."""
    file = resources.files("onym.core") / "data" / "appraisal-trades.toml"
    table = tomllib.loads(file.read_text("utf-8"))
    trades: dict[str, int] = {}
    for strength in (1, 2, 3):
        for words in table[f"strength-{strength}"].values():
            trades.update(dict.fromkeys(words.split(), strength))
    return trades


def _money(amount: Money) -> dict[str, int | str]:
    return {"minor": amount.minor, "currency": amount.currency}


def _told(
    read: Reading,
    lexicon: Lexicon,
    model: Model,
    refs: int | None,
    age: float | None,
    demand: int | None,
) -> Iterator[Feature]:
    yield from features(read, lexicon=lexicon, trades=model.trades)
    if GROUPS.get(read.kind) == "phrase":
        for part in read.parts:
            yield "trade", f"part {part}", model.parts.get(part, 0.0)
    if age:
        yield "age", "years", min(age, 20.0)
    if refs:
        yield "references", "decades", min(log10(1 + refs), 6.0)
    if demand:
        yield "demand", "people", min(log(1 + demand), 7.0)


def _sums(told: Iterable[Feature], model: Model) -> dict[str, float]:
    sums: dict[str, float] = {}
    weights = model.weights
    for factor, feature, value in told:
        weight = 1.0 if feature.startswith("part ") else _weight(weights, factor, feature)
        if weight and value:
            sums[factor] = sums.get(factor, 0.0) + weight * value
    return sums


def _weight(weights: Mapping[str, float], factor: str, feature: str) -> float:
    """Languages share their weights: `word_fr` is weighed as `word`."""
    name = "word" if factor.startswith("word_") else factor
    return weights.get(f"{name}.{feature}", 0.0)


def _steps(sums: Mapping[str, float]) -> dict[str, int]:
    """Each factor as hundredths of a percent; those that round to nothing are left out."""
    rounded = {name: _step(total) for name, total in sums.items()}
    return {name: step for name, step in rounded.items() if step}


def _step(logarithm: float) -> int:
    steps = round((exp(min(logarithm, 12.0)) - 1) * 100 * PERCENT_STEPS)
    return max(LEAST_STEPS, min(MOST_STEPS, steps))


def _product(minor: int, steps: Iterable[int]) -> int:
    top, bottom, whole = minor, 1, 100 * PERCENT_STEPS
    for step in steps:
        top, bottom = top * (whole + step), bottom * whole
    return min(MAX_MINOR, (2 * top + bottom) // (2 * bottom))


def _length(read: Reading, group: str) -> Iterator[Feature]:
    size = len(read.text)
    last = 7 if group == "phrase" else 6
    if size <= last:
        yield "length", f"{group}_{size}", 1.0
    elif size > (neutral := 10 if group == "phrase" else last):
        yield "length", f"{group}_more", float(min(size, 15) - neutral)
    else:
        yield "length", f"{group}_{last}", (neutral - size) / (neutral - last)
    if size > 15:
        yield "length", "over_15", float(min(size, 30) - 15)


def _characters(read: Reading) -> Iterator[Feature]:
    text, size = read.text, len(read.text)
    inner = reading.inner_separators(read.handle)
    yield "characters", "separator", float(min(inner, 3))
    yield "characters", "padding", float(min(len(read.handle) - size - inner, 3))
    if read.kind in ("letters", "number", "alphanumeric"):
        yield "characters", read.kind, 1.0
    if read.kind == "alphanumeric" and reading.readable(read):
        yield "characters", "alphanumeric_reads", min(1.0, read.frequency / 4)
    if read.kind == "letters" and size >= 2 and len(set(text)) == 1:
        yield "characters", "same_letter", 1.0
    if read.kind == "number":
        yield from _digits(text)


def _digits(text: str) -> Iterator[Feature]:
    """Clubs of digit names: 888 above 868 above 100 above 417; four is the unlucky one."""
    size, kinds = len(text), len(set(text))
    if size >= 2 and kinds == 1:
        yield "characters", "same_digit", 1.0
    elif size >= 3 and len({ord(b) - ord(a) for a, b in pairwise(text)} | {1, -1}) == 2:
        yield "characters", "run", 1.0
    elif size >= 3:
        yield "characters", "two_digits", float(kinds == 2)
        yield "characters", "mirror", float(text == text[::-1])
        yield "characters", "round", float(text.rstrip("0") == text[0])
    yield "characters", "eights", text.count("8") / size
    yield "characters", "fours", text.count("4") / size


def _word(read: Reading, word: Word, least: float) -> Iterator[Feature]:
    """Frequency, by language: another language's word counts as one that is a tenth as frequent.

    A trade's word counts as at least `least`: few people write "medicare" or "insure".
    """
    factor = f"word_{read.language}"
    zipf = word.english if read.language == "en" else max(word.english, word.other - 1.0)
    zipf = max(zipf, least)
    yield factor, "known", 1.0
    yield factor, "zipf_2", max(0.0, min(1.0, zipf - 2))
    yield factor, "zipf_3", max(0.0, min(1.0, zipf - 3))
    yield factor, "zipf_4", max(0.0, min(1.0, zipf - 4))
    yield factor, "zipf_5", max(0.0, zipf - 5)
    yield factor, "spread", float(word.spread)
    yield factor, "dictionary", float(word.dictionary)
    yield factor, "function", float(read.text in reading.FUNCTION_WORDS)
    if read.language == "en" and len(read.text) > 4:
        ending = next((end for end in ENDINGS if read.text.endswith(end)), "")
        if ending:
            yield factor, ending, 1.0
    yield "first_name", "countries", log(1 + word.first)
    yield "last_name", "countries", log(1 + word.last)


def _seen(read: Reading) -> Iterator[Feature]:
    """A string too rare for a word that has been seen all the same: a brand, a place, a name."""
    if read.word is not None and read.whole and len(read.text) > 1:
        word = read.word
        yield "word_en", "seen", 1.0
        yield "word_en", "seen_zipf", max(0.0, word.english - 1.5)
        yield "first_name", "countries", log(1 + word.first)
        yield "last_name", "countries", log(1 + word.last)


def _phrase(read: Reading, trades: Mapping[str, int]) -> Iterator[Feature]:
    zipfs, strengths = read.zipfs, [trades.get(part, 0) for part in read.parts]
    yield "phrase", "words_3", float(len(zipfs) >= 3)
    yield "phrase", "words_4", float(len(zipfs) >= 4)
    yield "phrase", "mean", sum(zipfs) / len(zipfs) - 5.0
    yield "phrase", "least", min(zipfs) - 4.5
    yield "phrase", "full_name", float(read.kind == "full_name")
    yield "trade", "phrase", float(min(sum(strengths), 6))
    yield "trade", "last_part", float(strengths[-1])
    if min(strengths) > 0:
        yield "trade", "whole_phrase", max(0.0, min(sum(strengths), 6) - 2.0)


def _sound(read: Reading) -> Iterator[Feature]:
    size = len(read.text)
    if size > 3:
        yield "sound", "rough", min(read.roughness, ROUGH) - 4.5
        yield "sound", "noise", max(0.0, read.roughness - ROUGH)


def _looks_like_a_word(text: str, lexicon: Lexicon) -> bool:
    """Whether `text` turns into a common word when look-alike signs are read as letters."""
    plain = text
    for sign, letter in LOOKS:
        plain = plain.replace(sign, letter)
    if plain == text or len(plain) < 4:
        return False
    known = lexicon.word(plain)
    return known is not None and max(known.english, known.other) >= reading.FOREIGN_LEAST
