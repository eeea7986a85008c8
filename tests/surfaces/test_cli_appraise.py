"""`onym appraise` from outside, on the full lexicon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from tests import words

from onym.sweep import lexicon

SRC = Path(__file__).resolve().parents[2] / "src"


def appraise(
    *arguments: str, data: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    folder = data or words.full_path().parent
    bare = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "ONYM_DATA")}
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "onym.site.command",
            "appraise",
            *arguments,
            "--data",
            str(folder),
        ],
        env={**bare, "PYTHONPATH": str(SRC)},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )


def lines(said: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_one_object_a_line_with_tier_and_an_appraisal_that_recomputes() -> None:
    said = appraise("Handle", "openmarket", "888", "--json")
    assert said.returncode == 0
    found = lines(said)
    assert [one["handle"] for one in found] == ["handle", "openmarket", "888"]
    assert found[0]["tier"] == {"name": "rare", "reason": "dictionary word of six letters"}
    for one in found:
        worth = one["appraisal"]
        assert worth.keys() == {"low", "mid", "high", "base", "factors", "comparables"}
        product = Decimal(worth["base"]["minor"])
        for factor in worth["factors"]:
            product *= 1 + Decimal(str(factor["percent"])) / 100
        assert worth["mid"] == {"minor": int(product + Decimal("0.5")), "currency": "USD"}
        assert worth["low"]["minor"] < worth["mid"]["minor"] < worth["high"]["minor"]


def test_a_person_reads_the_reason_the_range_and_the_factors() -> None:
    said = appraise("handle", "--base", "1000", "--currency", "EUR")
    assert said.returncode == 0
    first, second, third = said.stdout.splitlines()
    assert first == "handle  rare: dictionary word of six letters"
    assert " EUR (from " in second
    assert third.startswith("  base 1,000.00 · ")
    assert "word_en +" in third


def test_a_malformed_handle_is_named_and_the_others_are_answered() -> None:
    said = appraise("moon", "bad handle", "sunset", "--json")
    assert said.returncode == 1
    moon, bad, sunset = lines(said)
    assert (moon["handle"], sunset["handle"]) == ("moon", "sunset")
    assert (bad["handle"], bad["code"], bad["status"]) == ("bad handle", "handle_malformed", 422)
    assert "appraisal" not in bad
    said = appraise("moon", "bad handle")
    assert said.returncode == 1
    assert said.stdout.startswith("moon  rare")
    assert said.stderr.startswith("bad handle: handle_malformed: ")


@pytest.mark.parametrize(
    ("handle", "profile", "code"),
    [
        ("the-moon", (), 0),
        ("the-moon", ("--profile", "x"), 1),
        ("the_moon", (), 0),
        ("the_moon", ("--profile", "dns"), 1),
        ("قمر", (), 0),
        ("قمر", ("--profile", "x"), 1),
        ("", (), 1),
        ("@", (), 1),
    ],
)
def test_a_profile_says_what_is_well_formed(handle, profile, code) -> None:
    assert appraise(handle, "--json", *profile).returncode == code


def test_a_file_is_read_a_handle_a_line(tmp_path) -> None:
    file = tmp_path / "handles.txt"
    file.write_bytes(b"moon\r\n\nsunset\n\xff\xfe\n" + b"a" * 1_000_000 + b"\nhandle")
    said = appraise("--file", str(file), "--json")
    found = lines(said)
    assert said.returncode == 1
    assert [one.get("code", one["handle"]) for one in found] == [
        "moon",
        "sunset",
        "handle_malformed",
        "handle_malformed",
        "handle",
    ]
    assert len(said.stdout) < 6_000
    assert lines(appraise("--file", "-", "--json", given="beer\n"))[0]["handle"] == "beer"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "name a handle"),
        (("moon", "--file", "/no/such/file"), 2, "No such file"),
        (("moon", "--base", "0"), 1, "amount_too_small"),
        (("moon", "--base", "much"), 1, "malformed"),
        (("moon", "--base", "1.001"), 1, "malformed"),
        (("moon", "--currency", "QQQ"), 2, "Invalid value"),
        (("moon", "--profile", "none"), 2, "Invalid value"),
        (("moon", "--policy", "/no/such/policy"), 1, "/no/such/policy"),
    ],
)
def test_a_wrong_question_is_refused_in_one_line(arguments, code, message) -> None:
    said = appraise(*arguments)
    assert said.returncode == code
    assert message in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


def test_a_policy_of_ones_own_names_the_tiers(tmp_path) -> None:
    from onym.core import policy

    text = policy.text_of("onym-default").replace("dictionary word of", "plain word of")
    own = tmp_path / "own.toml"
    own.write_text(text)
    said = appraise("handle", "--policy", str(own), "--json")
    assert lines(said)[0]["tier"]["reason"] == "plain word of six letters"


def test_a_damaged_lexicon_is_built_again_with_a_word_about_it(tmp_path) -> None:
    (tmp_path / lexicon.FILE_NAME).write_bytes(b"damaged")
    said = appraise("handle", "--json", data=tmp_path)
    assert said.returncode == 0
    assert said.stderr.startswith("building the lexicon")
    assert lines(said)[0]["handle"] == "handle"
    built = lexicon.load(tmp_path / lexicon.FILE_NAME)
    assert built.digest == words.full().digest  # two builds of the same lists are equal
