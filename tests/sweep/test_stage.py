"""The working copy: doubles, completeness, progress."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import duckdb
import pytest
from tests.sweep.tables import HEAD, opened, rejected, rows, write

from onym.core import errors, names
from onym.sweep import accounts, source, stage


def test_of_rows_with_one_account_id_the_first_stays(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first = write(tmp_path / "a.csv", HEAD + b"1,ada,10,\n2,bob,,\n1,eve,20,\n")
    second = write(tmp_path / "b.csv", HEAD + b"1,ada,30,\n3,Bob,,\n4,dan,,\n")
    with opened(con, first, second) as table:
        assert rows(table, "account_id", "handle", "followers") == [
            ("1", "ada", 10), ("2", "bob", None), ("4", "dan", None),
        ]  # fmt: skip
        assert table.rejects == {"duplicate_account_id": 2, "duplicate_handle": 1}
        assert rejected(table, tmp_path) == [
            ("3", "eve", "duplicate_account_id", ""),
            ("1", "ada", "duplicate_account_id", ""),
            ("2", "Bob", "duplicate_handle", ""),
        ]


def test_a_refused_row_takes_no_account_id_and_no_handle_from_a_good_one(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", HEAD + b"1,ada,many,\n1,ada,2,\n")
    with opened(con, file) as table:
        assert rows(table, "followers") == [(2,)]


def test_progress_counts_up_to_all_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    file = write(tmp_path / "a.csv", HEAD + b"".join(b"%d,h%d,,\n" % (n, n) for n in range(1000)))
    accounts.open_accounts(
        con, [file], mapping={}, profile="x", progress=lambda *so_far: told.append(so_far)
    ).close()
    assert told[-1] == (1000, 1000)
    assert told == sorted(told)


def test_two_tables_can_be_open_at_once(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", HEAD + "1,ada,,\n2,é,,\n".encode())
    with opened(con, file) as first, opened(con, file, profile="precis") as second:
        assert (first.rows, second.rows) == (1, 2)
        first.close()
        assert rows(second, "canonical") == [("ada",), ("é",)]


def test_an_engine_that_loses_rows_is_not_believed(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    short = source.Source(
        name="short.csv",
        rows=3,
        relation="(VALUES ('1', 'ada'), ('2', 'bob')) AS t(a, h)",
        raws={"account_id": ("a", "VARCHAR"), "handle": ("h", "VARCHAR")},
        ignored=(),
    )
    refusing = stage.Stage.create(con, tmp_path)
    with pytest.raises(errors.Malformed, match=r"short\.csv: only 2 of 3 rows were found"):
        refusing.load([short], names.profile("x"), None)
    refusing.close()
    mended = dataclasses.replace(short, mended=lambda: dataclasses.replace(short, rows=2))
    loading = stage.Stage.create(con, tmp_path)
    loading.load([mended], names.profile("x"), None)
    assert loading.count(loading.views()[0]) == 2
    loading.close()
    assert list(tmp_path.iterdir()) == []
