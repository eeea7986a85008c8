"""Account tables: what is read, and what is refused row by row."""

# ruff: noqa: DTZ001 (the engine holds UTC without a zone)

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sweep.tables import HEAD, opened, parquet, rejected, rows, write

from onym.core import errors, names
from onym.sweep import accounts, columns


def test_every_column_is_typed_and_a_missing_one_is_unknown(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "a.csv",
        b"account_id,handle,followers,last_login_at,verified,bot_score,status,bio\n"
        b'1007,Handle,12,2019-03-01,yes,0.25,Suspended,"two\nlines, ""quoted"""\n'
        b"1008,moon,,,,,,\n",
    )
    with opened(con, file) as table:
        described = dict(
            row[:2] for row in con.execute(f"DESCRIBE SELECT * FROM {table.table}").fetchall()
        )
        assert list(described) == [*columns.COLUMNS, "canonical", "display"]
        assert {name: described[name] for name in columns.COLUMNS} == {
            name: columns.TYPES[kind] for name, kind in columns.COLUMNS.items()
        }
        assert rows(
            table, "account_id", "canonical", "display", "followers", "last_login_at",
            "verified", "bot_score", "status", "bio", "minor",
        ) == [
            (
                "1007", "handle", "Handle", 12, datetime.datetime(2019, 3, 1),
                True, 0.25, "suspended", 'two\nlines, "quoted"', None,
            ),
            ("1008", "moon", "moon", None, None, None, None, None, None, None),
        ]  # fmt: skip
        assert (table.rows, table.rejects, table.ignored) == (2, {}, ())
        assert "minor" in table.missing
        assert "bio" not in table.missing


def test_csv_json_lines_and_parquet_say_the_same(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = write(tmp_path / "a.csv", HEAD + b"1,Ada,5,2026-01-02T03:04:05Z\n2,bob,,\n")
    json_lines = write(
        tmp_path / "a.jsonl",
        b'{"account_id": 1, "handle": "Ada", "followers": 5, "extra": {"deep": 1},'
        b' "last_login_at": "2026-01-02T03:04:05Z"}\n'
        b'{"account_id": "2", "handle": "bob", "followers": null}\n',
    )
    at = datetime.datetime(2026, 1, 2, 3, 4, 5)
    table = parquet(
        tmp_path / "a.parquet",
        account_id=pa.array([1, 2]),
        handle=["Ada", "bob"],
        followers=pa.array([5.0, None]),
        last_login_at=pa.array([at, None], pa.timestamp("ns", tz="UTC")),
    )
    wanted = ("account_id", "handle", "canonical", "followers", "last_login_at")
    answers = []
    for file in (text, json_lines, table):
        with opened(con, file) as read:
            assert read.rejects == {}
            answers.append(rows(read, *wanted))
    assert answers[0] == [("1", "Ada", "ada", 5, at), ("2", "bob", "bob", None, None)]
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


def test_several_files_are_one_table(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first = write(tmp_path / "a*[1].csv", b"account_id,handle,bio\n1,ada,x\n")
    second = write(tmp_path / "b.jsonl", b'{"account_id":"2","handle":"bob","locale":"fr"}\n')
    with opened(con, first, second) as table:
        assert rows(table, "account_id", "bio", "locale") == [("1", "x", None), ("2", None, "fr")]
        assert not {"bio", "locale"} & set(table.missing)


INSTANTS = [
    ("2026-02-28", "2026-02-28T00:00:00"),
    ("2026-02-28T01:02:03Z", "2026-02-28T01:02:03"),
    ("2026-02-28t01:02:03z", "2026-02-28T01:02:03"),
    ("2026-02-28 01:02:03", "2026-02-28T01:02:03"),
    ("2026-02-28T01:02:03.123456789Z", "2026-02-28T01:02:03.123456"),
    ("2026-02-28T01:02:03+02:00", "2026-02-27T23:02:03"),
    ("2026-02-28T23:30:00-00:45", "2026-03-01T00:15:00"),
    ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
    ("0001-01-01T00:00:00+14:00", None),
    ("9999-12-31T23:59:59-01:00", None),
    ("2026-02-29", None),
    ("2026-02-28T24:00:00Z", None),
    ("2026-02-28T23:59:60Z", None),
    ("28/02/2026", None),
    ("1772236923", None),
    ("yesterday", None),
    ("infinity", None),
]


@pytest.mark.parametrize(("written", "meant"), INSTANTS)
def test_an_instant_is_utc_or_its_row_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, written: str, meant: str | None
) -> None:
    con.execute("SET TimeZone = 'Asia/Tokyo'")
    file = write(tmp_path / "a.csv", HEAD + f"1,ada,,{written}\n".encode())
    with opened(con, file) as table:
        if meant is None:
            assert rejected(table, tmp_path) == [
                ("1", "ada", "unreadable_instant", "last_login_at")
            ]
        else:
            assert rows(table, "last_login_at") == [(datetime.datetime.fromisoformat(meant),)]


BAD_ROWS = [
    (b"1,a-b,,\n", "handle_character", ""),
    (b"1,@ada,,\n", "handle_character", ""),
    (b"1, ada,,\n", "handle_character", ""),
    (b"1,sixteencharslong,,\n", "handle_length", ""),
    ("1,\N{KELVIN SIGN}elvin,,\n".encode(), "handle_character", ""),
    (b"1,,,\n", "handle_missing", ""),
    (b",ada,,\n", "account_id_missing", ""),
    (b"1\x07,ada,,\n", "account_id_malformed", ""),
    (b"1" * 257 + b",ada,,\n", "account_id_malformed", ""),
    (b"1,ada,many,\n", "unreadable_number", "followers"),
    (b"1,ada,-1,\n", "unreadable_number", "followers"),
    (b"1,ada,1.5,\n", "unreadable_number", "followers"),
    (b"1,ada,99999999999999999999,\n", "unreadable_number", "followers"),
    (b"1,ada,,never\n", "unreadable_instant", "last_login_at"),
    (b"1,ada,\n", "row_columns", ""),
    (b"1,ada,,,x\n", "row_columns", ""),
    (b'1,"ada"x,,\n', "row_quote", ""),
    (b'1,"ada,,\n', "row_quote", ""),
    (b"1,ad\xffa,,\n", "row_encoding", ""),
    (b"1,ad\0a,,\n", "row_nul", ""),
    (b"1," + b"y" * 5_000_000 + b",,\n", "row_length", ""),
]


@pytest.mark.parametrize(("line", "reason", "column"), BAD_ROWS)
def test_a_bad_row_is_refused_with_its_reason_and_the_rest_goes_on(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, line: bytes, reason: str, column: str
) -> None:
    file = write(tmp_path / "a.csv", HEAD + b"7,first,,\n" + line + b"8,second,,\n9,third,,\n")
    with opened(con, file) as table:
        assert [row[0] for row in rows(table, "handle")] == ["first", "second", "third"]
        assert table.rejects == {reason: 1}
        ((row, _, why, what),) = rejected(table, tmp_path)
        assert (row, why, what) == ("2", reason, column)


BAD_VALUES = [
    ({"status": "gone"}, "unknown_status", "status"),
    ({"verified": "perhaps"}, "unreadable_boolean", "verified"),
    ({"bot_score": "NaN"}, "unreadable_number", "bot_score"),
    ({"bot_score": "high"}, "unreadable_number", "bot_score"),
    ({"handle": {"name": "ada"}}, "handle_missing", ""),
    ({"account_id": ["1"]}, "account_id_missing", ""),
    ({"bio": "\0"}, "row_nul", ""),
    ({"account_id": "\0"}, "account_id_malformed", ""),
]


@pytest.mark.parametrize(("values", "reason", "column"), BAD_VALUES)
def test_a_bad_json_value_is_refused(
    con: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    values: dict[str, Any],
    reason: str,
    column: str,
) -> None:
    good = json.dumps({"account_id": "2", "handle": "bob"})
    bad = json.dumps({"account_id": "1", "handle": "ada", **values})
    with opened(con, write(tmp_path / "a.jsonl", f"{good}\n{bad}\n".encode())) as table:
        assert rows(table, "handle") == [("bob",)]
        assert [(each[0], *each[2:]) for each in rejected(table, tmp_path)] == [
            ("2", reason, column)
        ]


BAD_LINES = [
    (b'{"account_id": "1"', "row_json"),
    (b'"text"', "row_json"),
    (b"[1, 2]", "row_json"),
    (b'{"a": 1} {"b": 2}', "row_json"),
    (b'{"a": "\x1f"}', "row_json"),
    (b'{"a": "\xff"}', "row_encoding"),
    (b'{"a": "\0"}', "row_nul"),
    (b'{"a": "' + b"y" * 200_000 + b'"}', "row_length"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_that_is_no_json_object_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, line: bytes, reason: str, end: bytes
) -> None:
    good = [b'{"account_id": "%d", "handle": "h%d"}' % (n, n) for n in range(3)]
    file = write(tmp_path / "a.jsonl", end.join([good[0], line, *good[1:]]) + end + end)
    with opened(con, file) as table:
        assert table.rows == 3
        assert [(each[0], each[2]) for each in rejected(table, tmp_path)] == [("2", reason)]


def test_non_ascii_handles_are_folded_by_the_profile(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = "account_id,handle\n1,Ａda\n2,ÉCOLE\n3,a b\n4,ada\n5,Σίσυφος\n"
    with opened(con, write(tmp_path / "a.csv", text.encode()), profile="precis") as table:
        assert rows(table, "canonical") == [
            ("ada",),
            ("école",),
            (names.canon("Σίσυφος", "precis"),),
        ]
        assert table.rejects == {"duplicate_handle": 1, "handle_character": 1}


@settings(max_examples=30, deadline=None)
@given(
    profile=st.sampled_from(sorted(names.PROFILES)),
    handles=st.lists(
        st.text("aZ09_-. é\u212aß\u0131İＡ\u03a3\u0130", max_size=20)
        | st.from_regex(r"[A-Za-z0-9_-]{1,70}", fullmatch=True),
        min_size=1,
        max_size=40,
        unique=True,
    ),
)
def test_the_engine_and_canon_agree_on_every_handle(
    tmp_path_factory: pytest.TempPathFactory, profile: str, handles: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("agree")
    expected = {}
    for number, handle in enumerate(handles):
        if handle and names.is_handle(handle, profile):
            expected.setdefault(names.canon(handle, profile), f"{number:03}")
    records = [{"account_id": f"{n:03}", "handle": handle} for n, handle in enumerate(handles)]
    text = "".join(json.dumps(record) + "\n" for record in records)
    with (
        duckdb.connect(config={"threads": 1}) as con,
        opened(con, write(folder / "a.jsonl", text.encode()), profile=profile) as table,
    ):
        found = {
            canonical: account for account, canonical in rows(table, "account_id", "canonical")
        }
    assert found == expected


def test_no_file_and_an_unknown_profile_are_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(errors.Malformed, match="no account table"):
        accounts.open_accounts(con, [], mapping={}, profile=None)
    with pytest.raises(errors.Malformed, match="no profile"):
        opened(con, write(tmp_path / "a.csv", HEAD + b"1,ada,,\n"), profile="nosuch")


def test_rejects_can_be_parquet_too(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", HEAD + b"1,ada,,\n2,a-b,,\n3\n")
    with opened(con, file) as table:
        table.write_rejects(tmp_path / "rejects.parquet")
    assert pq.read_table(tmp_path / "rejects.parquet").to_pylist() == [
        {
            "file": "a.csv", "row": 2, "account_id": "2", "handle": "a-b",
            "reason": "handle_character", "column": None,
        },
        {
            "file": "a.csv", "row": 3, "account_id": None, "handle": None,
            "reason": "row_columns", "column": None,
        },
    ]  # fmt: skip
