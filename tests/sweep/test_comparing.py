"""Comparing: one account out of a table, and who changes verdict between two policies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from onym.core import policy
from onym.sweep import comparing, engines
from onym.sweep.accounts import Accounts, open_accounts

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
FLAGS = ",".join(policy.PROTECTIONS)
CLEAR = ",".join(["no"] * len(policy.PROTECTIONS))
OLD, NEW = policy.built_in("x-2023"), policy.built_in("onym-default")


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    seen = {"Moon": "2019-01-01", "star": "2026-09-01", "anna": "2026-11-19", "bob": ""}
    rows = [f"{i},{name},{at},{CLEAR}" for i, (name, at) in enumerate(seen.items())]
    table = tmp_path / "accounts.csv"
    table.write_text("\n".join([f"account_id,handle,last_login_at,{FLAGS}", *rows]))
    with (
        engines.connected(tmp_path) as con,
        open_accounts(con, [table], mapping={}, profile="x", scratch=tmp_path) as found,
    ):
        yield found


def test_an_account_is_read_as_a_policy_reads_it(accounts: Accounts) -> None:
    row = comparing.account(accounts, "moon")
    assert row is not None
    assert (row["handle"], row["canonical"], row["minor"]) == ("Moon", "moon", False)
    assert row["last_login_at"] == datetime(2019, 1, 1, tzinfo=UTC)
    assert row["followers"] is None
    assert policy.verdict(OLD, row, AS_OF).verdict == "reclaim"
    assert comparing.account(accounts, "nobody") is None


def test_changes_are_those_that_python_finds(accounts: Accounts) -> None:
    people = [comparing.account(accounts, name) for name in ("anna", "bob", "moon", "star")]
    expected = [
        (
            change.account["canonical"],
            (change.old.verdict.value, list(change.old.reasons)),
            (change.new.verdict.value, list(change.new.reasons)),
        )
        for change in policy.diff(OLD, NEW, [row for row in people if row], AS_OF)
    ]
    with comparing.changes(accounts, OLD, NEW, AS_OF) as found:
        assert [(each.canonical, each.old, each.new) for each in found] == expected
    assert [name for name, _, _ in expected] == ["star"]


def test_reading_only_the_first_change_leaves_the_table_usable(accounts: Accounts) -> None:
    for _ in range(2):
        with comparing.changes(accounts, OLD, NEW, AS_OF) as found:
            assert next(found).canonical == "star"


def test_two_texts_differ_in_what_was_changed() -> None:
    text = policy.text_of("x-2023")
    changed = text.replace("suspended_days = 180", "suspended_days = 90")
    changed = changed.replace("value = 30\n", "value = 60\n").replace(
        '"short: {length}', '"{length}'
    )
    told = comparing.texts(OLD, policy.parse(changed, "changed.toml"))
    assert told == [
        "periods.suspended_days: 180 → 90",
        "rule idle_login: last_login_at older_than 30 (idle, unknown: keep)"
        " → last_login_at older_than 60 (idle, unknown: keep)",
        "tiers",
    ]
    assert comparing.texts(OLD, OLD) == []


def test_two_texts_may_differ_in_the_order_of_their_rules() -> None:
    text = policy.text_of("x-2023")
    head, memorial, verified, rest = text.split("[[rule]]\n", 3)
    moved = "[[rule]]\n".join([head, verified, memorial, rest])
    assert comparing.texts(OLD, policy.parse(moved, "moved.toml")) == ["the order of the rules"]
