"""Names, words and sentences of the sample platform, in several languages, from `data/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from random import Random

Form = tuple[str, str]  # Latin form, as used in handles; native form, as shown


@cache
def table(name: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Rows of `data/{name}.txt` without their locale, by locale."""
    text = resources.files("onym_demo").joinpath("data", f"{name}.txt").read_text("utf-8")
    rows: dict[str, list[tuple[str, ...]]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            locale, *rest = line.split("\t")
            rows.setdefault(locale, []).append(tuple(rest))
    return {locale: tuple(found) for locale, found in rows.items()}


@cache
def forms(name: str, locale: str) -> Sequence[Form]:
    """Latin and native forms of one language; English where it has none of its own."""
    found = table(name)
    return [(row[0], row[1]) for row in found.get(locale, found["en"])]


def locales() -> Sequence[str]:
    """Every language with first names."""
    return list(table("first_names"))


def post(*, locale: str, rng: Random, mention: str) -> str:
    """One short post; `mention` stands where another account is named."""
    return _filled("posts", locale, rng, mention)


def bio(*, locale: str, rng: Random) -> str:
    """One line about oneself."""
    return _filled("bios", locale, rng, "")


def _filled(name: str, locale: str, rng: Random, mention: str) -> str:
    sentences = table(name)
    sentence = _pick(sentences.get(locale, sentences["en"]), rng)[0]
    if "{" not in sentence:
        return sentence
    words = forms("words", locale)
    word, other = _pick(words, rng)[1], _pick(words, rng)[1]
    return sentence.format(word=word, other=other, mention=mention)


def _pick(rows: Sequence[tuple[str, ...]], rng: Random) -> tuple[str, ...]:
    return rows[int(rng.random() * len(rows))]
