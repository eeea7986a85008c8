"""The packed lexicon answers as the words it was packed from, and refuses a spoilt file."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import words

from onym.core import reading
from onym.core.errors import Malformed
from onym.core.lexicon import HEADER_BYTES, MAGIC, Lexicon, fold
from onym.sweep import lexicon

SRC = Path(__file__).resolve().parents[2] / "src"


def packed() -> bytearray:
    return bytearray(lexicon.pack(words.WORDS))


# The table


def test_every_word_is_found_with_what_was_stored():
    table = words.small()
    assert len(table) == len(words.WORDS)
    for text, stored in words.WORDS.items():
        found = table.word(text)
        assert found is not None
        assert found._replace(english=0, other=0) == stored._replace(english=0, other=0)
        assert found.english == pytest.approx(stored.english, abs=0.021)
        assert found.other == pytest.approx(stored.other, abs=0.021)


@given(text=st.text(max_size=8).filter(lambda text: fold(text) not in words.WORDS))
def test_no_other_string_is_found(text):
    assert words.small().word(text) is None


@settings(deadline=None, max_examples=40)  # each example packs a whole table
@given(
    table=st.dictionaries(
        st.text("abcé8ق", min_size=1, max_size=6),
        st.builds(words.word, st.floats(0, 8), first=st.integers(0, 300)),
        max_size=60,
    )
)
def test_any_words_can_be_packed_and_read_back(table):
    read = Lexicon.over(memoryview(lexicon.pack(table)))
    assert {read.spelling(number) for number in range(len(read))} == set(table)
    for text, stored in table.items():
        assert read.record(read.find(text.encode())).first == min(255, stored.first)


def test_equal_words_give_equal_bytes_in_any_order():
    backwards = dict(reversed(words.WORDS.items()))
    assert lexicon.pack(backwards) == lexicon.pack(words.WORDS)


@given(text=st.text("hanmoptermrkt", max_size=14))
def test_spans_are_exactly_the_known_substrings(text):
    known = {
        (i, j)
        for i in range(len(text))
        for j in range(i + 2, len(text) + 1)
        if text[i:j] in words.WORDS
    }
    assert {(span.start, span.end) for span in words.small().spans(text)} == known


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Éclair", "eclair"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("ağaç", "agac"),
        ("Œuvre", "oeuvre"),
        ("سلام", "سلام"),
        ("№", "no"),
        ("moon_8", "moon_8"),
    ],
)
def test_folding_drops_case_and_marks(text, folded):
    assert fold(text) == folded
    assert fold(folded) == folded


@given(text=st.text(max_size=12))
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


# Damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.__setitem__(slice(0, 4), b"ZZZZ"),
        lambda raw: raw.__setitem__(len(MAGIC), 0xFF),
        lambda raw: raw.__delitem__(slice(HEADER_BYTES, None)),
        lambda raw: raw.__delitem__(slice(len(raw) - 16, None)),
        lambda raw: raw.__delitem__(slice(None)),
        lambda raw: raw.__setitem__(
            slice(0, HEADER_BYTES),
            bytes(raw[:HEADER_BYTES]).replace(b'"format": 1', b'"format": 9'),
        ),
        lambda raw: raw.__setitem__(
            slice(0, HEADER_BYTES),
            bytes(raw[:HEADER_BYTES]).replace(b'"slots"', b'"slopt"'),
        ),
    ],
)
def test_a_damaged_file_is_refused_and_is_not_fresh(tmp_path, damage):
    raw = packed()
    damage(raw)
    path = tmp_path / lexicon.FILE_NAME
    path.write_bytes(raw)
    with pytest.raises(Malformed):
        lexicon.load(path)
    assert not lexicon.fresh(path)


def test_a_missing_file_is_not_fresh_and_a_written_one_is(tmp_path):
    path = tmp_path / lexicon.FILE_NAME
    assert not lexicon.fresh(path)
    lexicon.write(path, words.WORDS)
    assert lexicon.fresh(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [lexicon.FILE_NAME]


def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path):
    path = tmp_path / lexicon.FILE_NAME
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        lexicon.write(path, words.WORDS)
    with pytest.raises(OSError, match=r"the lexicon could not be built: .*directory"):
        lexicon.ensure(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [lexicon.FILE_NAME]


# The sources


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("новости", {"novosti"}),
        ("авто", {"avto"}),
        ("سلام", {"slam", "salam"}),
        ("نور", {"nor", "nur"}),
        ("أخبار", {"akhbar"}),
        ("حبيبي", {"habibi"}),
        ("日本", set()),
        ("moon", set()),
    ],
)
def test_words_of_other_scripts_are_spelt_as_people_type_them(word, forms):
    assert forms <= set(lexicon.romanised(word))
    assert bool(forms) == bool(lexicon.romanised(word))


@pytest.mark.parametrize(
    ("text", "kind", "language"),
    [
        ("handle", "word", "en"),
        ("handles", "word", "en"),
        ("running", "word", "en"),
        ("internet", "word", "en"),
        ("banque", "word", "fr"),
        ("haus", "word", "de"),
        ("novosti", "word", "ru"),
        ("akhbar", "word", "ar"),
        ("maria", "first_name", None),
        ("olivia", "first_name", None),
        ("garcia", "last_name", None),
        ("google", "term", None),
        ("london", "term", None),
        ("emmawatson", "full_name", None),
        ("johnsmith", "full_name", None),
        ("openmarket", "phrase", None),
        ("bankofamerica", "phrase", None),
        ("iloveyou", "phrase", None),
        ("xqzkwv", "letters", None),
    ],
)
def test_the_full_lexicon_knows_words_and_names_of_many_languages(text, kind, language):
    read = reading.read(text, lexicon=words.full())
    assert read.kind == kind
    assert language in (None, read.language)


def test_words_read_better_than_noise():
    full = words.full()
    assert full.roughness("strength") < full.roughness("brendelo") + 1 < full.roughness("xqzkwjv")
    assert full.roughness("") == full.roughness("888") == 0.0


def test_the_table_for_bulk_engines_says_what_the_facts_say():
    table = lexicon.word_table(words.full())
    rows = {row.pop("word"): row for row in table.to_pylist()}
    assert len(rows) == len(table) > 50_000
    for text in (
        "handle",
        "google",
        "london",
        "maria",
        "garcia",
        "xqzkwv",
        "q",
        *list(rows)[::997],
    ):
        facts = reading.facts(text, words.full())
        flags = {name: facts[name] for name in reading.WORD_FACTS}
        assert flags == rows.get(text, dict.fromkeys(reading.WORD_FACTS, False))


def test_a_process_that_maps_the_lexicon_stays_small_and_fast():
    """In a process of its own: no builder's library is loaded, and few pages become its own."""
    script = f"""
import json, sys, time, psutil
from pathlib import Path
from onym.core import appraisal
from onym.sweep import lexicon
me = psutil.Process()
before = me.memory_info().rss
words = lexicon.load(Path({str(words.full_path())!r}))
known = [words.spelling(n) for n in range(0, len(words), 23)]
began = time.perf_counter()
assert all(words.word(word) is not None for word in known)
took = (time.perf_counter() - began) / len(known)
grown = me.memory_info().rss - before
loaded = sorted(set(sys.modules) & {{"wordfreq", "faker", "english_words", "pyarrow", "django"}})
print(json.dumps([grown, took, loaded]))
"""
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    grown, took, loaded = json.loads(said.stdout)
    assert loaded == []
    assert grown <= 25_000_000
    assert took <= 50e-6


def test_a_second_start_does_not_build_again():
    began = time.monotonic()
    assert lexicon.ensure(words.full_path()).digest == words.full().digest
    assert time.monotonic() - began < 1
