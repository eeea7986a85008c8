"""The sample platform's accounts: the story in them, their shares, and that a seed replays."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests.demo.servers import SOURCE

from onym.core import policy
from onym_demo import sample, story

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PROTECTIONS = (
    "memorial", "verified", "public_body", "legal_hold", "minor", "dispute_open", "appeal_open",
    "subscriber",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return list(sample.accounts(now=NOW))


@pytest.fixture(scope="module")
def by_handle(rows):
    return {row["handle"]: row for row in rows}


@pytest.fixture(scope="module")
def verdicts(rows):
    """Under the policy that the demo's market begins with; no list protects a handle."""
    lists = {"protected_list": False, "reserved_list": False}
    built_in = policy.built_in("x-2023")
    return {row["handle"]: policy.verdict(built_in, row | lists, NOW) for row in rows}


def test_fifty_thousand_accounts_come_in_three_seconds():
    began = time.process_time()
    assert sum(1 for _ in sample.accounts(now=NOW)) == 50_000
    assert time.process_time() - began < 3


def test_every_row_has_every_column_and_no_other(rows):
    assert all(tuple(row) == sample.COLUMNS for row in rows)


def test_ids_count_up_from_1001(rows):
    assert [row["account_id"] for row in rows] == [str(n) for n in range(1001, 51_001)]


def test_handles_are_well_formed_and_differ_in_more_than_case(rows):
    assert all(re.fullmatch("[A-Za-z0-9_]{1,15}", row["handle"], re.ASCII) for row in rows)
    assert len({row["handle"].lower() for row in rows}) == len(rows)


def test_the_same_seed_and_instant_give_the_same_rows():
    assert list(sample.accounts(now=NOW, count=500)) == list(sample.accounts(now=NOW, count=500))


def test_another_seed_gives_other_handles_but_the_same_story():
    one, two = (
        {row["handle"] for row in sample.accounts(now=NOW, seed=s, count=500)} for s in (1, 2)
    )
    assert {"handle", "sunset", "moon", "nadia", "acme_hq"} <= one & two
    assert len(one & two) < 100


def test_a_later_now_moves_every_instant_but_those_of_handle():
    later = sample.accounts(now=NOW + DAY, count=300)
    for before, after in zip(sample.accounts(now=NOW, count=300), later, strict=True):
        shift = timedelta(0) if before["handle"] == "handle" else DAY
        for name in (name for name in sample.COLUMNS if name.endswith("_at")):
            if before[name] is not None:
                assert after[name] - before[name] == shift, (before["handle"], name)


def test_nobody_acts_before_birth_or_after_now(rows):
    for row in rows:
        instants = [row[name] for name in sample.COLUMNS if name.endswith("_at")]
        for at in (at for at in instants if at is not None):
            assert at.tzinfo is UTC
            assert at.microsecond == 0
            assert row["created_at"] <= at <= NOW, row


def test_handle_is_silent_since_2019_with_a_dead_site_and_few_enough_followers(by_handle):
    handle = by_handle["handle"]
    assert handle["account_id"] == "1007"
    assert max(handle["last_login_at"], handle["last_post_at"]).year == 2019
    assert "relaunch" in handle["last_post_text"]
    assert (handle["site_url"], handle["site_alive"]) == ("https://handle.example", False)
    assert handle["followers"] < 10_000
    assert 1_000 <= handle["inbound_refs"] < 10_000
    assert [handle[name] for name in PROTECTIONS] == [False] * 8
    assert handle["email"].endswith(".example")


def test_handle_and_sunset_can_be_reclaimed_under_the_demos_policy(verdicts):
    assert [verdicts[name].verdict.value for name in ("handle", "sunset")] == ["reclaim"] * 2


def test_sunset_is_idle_and_can_be_reached_by_mail(by_handle):
    sunset = by_handle["sunset"]
    assert sunset["account_id"] == story.SUNSET
    assert NOW - sunset["last_login_at"] > 60 * DAY
    assert sunset["email"] == "sunset@mail.example"


@pytest.mark.parametrize("who", ["buyer", "seller", "acme"])
def test_the_people_of_the_demo_are_active_and_unprotected(who, by_handle, verdicts):
    person = by_handle[story.PEOPLE[who]["handle"]]
    assert person["account_id"] == story.PEOPLE[who]["account_id"]
    assert person["email"] == story.PEOPLE[who]["mail"]
    assert NOW - person["last_login_at"] < DAY
    assert verdicts[person["handle"]].verdict.value == "keep"


def test_the_seller_holds_moon(by_handle):
    assert by_handle["moon"]["account_id"] == story.PEOPLE["seller"]["account_id"]


def test_about_one_in_fourteen_is_to_be_freed_and_one_in_eight_is_protected(verdicts, rows):
    shares = Counter(found.verdict.value for found in verdicts.values())
    freed = shares["warn"] + shares["reclaim"]
    assert 0.06 <= freed / len(rows) <= 0.08, shares
    assert 0.11 <= shares["protected"] / len(rows) <= 0.135, shares
    assert shares["warn"] > 300


def test_every_protection_protects_somebody_both_when_true_and_when_unknown(rows):
    held = Counter((name, row[name]) for row in rows for name in PROTECTIONS)
    for name in PROTECTIONS:
        assert held[name, True] > 10, name
        assert held[name, None] > 10, name


def test_reasons_are_varied(verdicts):
    codes = Counter(code for found in verdicts.values() for code in found.reasons)
    assert {"idle_login", "suspended", "memorial", "verified", "minor"} <= set(codes)


def test_about_three_hundred_can_be_reached_by_mail_at_example_domains(rows, verdicts):
    reached = [row for row in rows if row["email"] is not None]
    assert 250 <= len(reached) <= 350
    assert all(row["email"].endswith(".example") for row in reached)
    idle = [row for row in reached if verdicts[row["handle"]].verdict.value in ("warn", "reclaim")]
    assert len(idle) >= 30


def test_all_sorts_of_accounts_are_there(rows):
    assert {row["status"] for row in rows} == {"active", "suspended", "deactivated"}
    assert len({row["locale"] for row in rows}) >= 10
    assert sum(row["registered_batch"] is not None for row in rows) > 500
    assert sum(row["status"] == "suspended" and row["appeal_open"] is True for row in rows) > 50
    unknown = Counter(name for row in rows for name in sample.COLUMNS if row[name] is None)
    assert {"last_login_at", "last_post_at", "last_api_at", "inbound_refs", "bot_score"} <= set(
        unknown
    )


def test_whoever_appeals_is_suspended_and_not_finally(rows):
    for row in rows:
        if row["appeal_open"]:
            assert row["status"] == "suspended"
            assert row["suspension_final_at"] is None


def written(file, *more):
    command = [sys.executable, "-m", "onym_demo.sample", "--out", str(file), *more]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_the_command_writes_what_the_function_gives(tmp_path):
    ids = [str(number) for number in range(1001, 1041)]
    assert written(tmp_path / "a.csv", "--count", "40").returncode == 0
    with (tmp_path / "a.csv").open() as table:
        assert [row["account_id"] for row in csv.DictReader(table)] == ids
    assert written(tmp_path / "a.jsonl", "--count", "40").returncode == 0
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["account_id"] for line in lines] == ids


def test_the_command_refuses_a_file_it_cannot_write(tmp_path):
    told = written(tmp_path / "a.xlsx")
    assert (told.returncode, told.stderr) == (1, "--out must end in .csv or .jsonl\n")
