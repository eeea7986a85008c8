"""Account tables: what is read, what is refused row by row, what is refused as a whole."""

# ruff: noqa: DTZ001 (the engine holds UTC without a zone)

from __future__ import annotations

import csv
import datetime
import json
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onym.core import errors, names
from onym.sweep import accounts, columns, lines

HEAD = b"account_id,handle,followers,last_login_at\n"


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "512MB"})
    connection.execute("SET temp_directory = ?", [str(tmp_path)])
    yield connection
    connection.close()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def parquet(path: Path, **values: Any) -> Path:
    pq.write_table(pa.table(values), path)
    return path


def opened(
    con: duckdb.DuckDBPyConnection,
    *inputs: Path,
    profile: str = "x",
    mapping: Mapping[str, str] | None = None,
) -> accounts.Accounts:
    return accounts.open_accounts(
        con, inputs, mapping=mapping or {}, profile=profile, scratch=inputs[0].parent
    )


def rows(table: accounts.Accounts, *wanted: str) -> list[tuple[Any, ...]]:
    listed = ", ".join(wanted)
    return table.con.execute(f"SELECT {listed} FROM {table.table} ORDER BY account_id").fetchall()


def rejected(table: accounts.Accounts, folder: Path) -> list[tuple[str, ...]]:
    """(row, handle, reason, column) of each refused row."""
    table.write_rejects(folder / "rejects.csv")
    with (folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [(each["row"], each["handle"], each["reason"], each["column"]) for each in found]


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


def test_one_source_column_may_be_mapped_twice_and_unknown_ones_are_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", b"handle,lapsed_at,paid\nada,2020-05-04T00:00:00Z,1\n")
    mapping = {"account_id": "handle", "last_login_at": "lapsed_at"}
    with opened(con, file, mapping=mapping) as table:
        assert rows(table, "account_id", "handle", "last_login_at") == [
            ("ada", "ada", datetime.datetime(2020, 5, 4))
        ]
        assert table.ignored == ("paid",)


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


@pytest.mark.parametrize(
    "ends",
    [(b"\n",), (b"\r\n",), (b"\n", b"\r\n"), (b"\n\n",), (b"\r\n\r\n", b"\n")],
    ids=repr,
)
@pytest.mark.parametrize("bom", [b"", lines.BOM], ids=["plain", "bom"])
def test_line_ends_and_a_byte_order_mark_cost_no_row(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, ends: Sequence[bytes], bom: bytes
) -> None:
    body = [b'%d,h%d,%d,"2026-01-01"' % (n, n, n) for n in range(5_000)]
    parts = [line + ends[n % len(ends)] for n, line in enumerate([HEAD.strip(), *body])]
    with opened(con, write(tmp_path / "a.csv", bom + b"".join(parts))) as table:
        assert (table.rows, table.rejects) == (5_000, {})
        assert con.execute(f"SELECT sum(followers) FROM {table.table}").fetchall() == [
            (sum(range(5_000)),)
        ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, delimiter: str
) -> None:
    text = "account_id,handle,bio\n1,ada,hello\n2,bob\n".replace(",", delimiter)
    with opened(con, write(tmp_path / "a.csv", text.encode())) as table:
        assert rows(table, "account_id", "handle", "bio") == [("1", "ada", "hello")]
        assert table.rejects == {"row_columns": 1}


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


@settings(max_examples=60, deadline=None)
@given(
    body=st.lists(
        st.sampled_from(
            [
                b"1,a,x",
                b'2,b,"q"',
                b'3,"c',
                b'd",y',
                b"",
                b"4",
                b"5,e,f,g",
                b"5,e,f,",
                b"\xff",
                b'6,g"h,"',
            ]
        ),
        min_size=1,
        max_size=12,
    ),
    ends=st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=12, max_size=12),
)
def test_no_row_is_ever_lost_in_silence(
    tmp_path_factory: pytest.TempPathFactory, body: list[bytes], ends: list[bytes]
) -> None:
    """Whatever way is taken, engine or mended copy, the same rows stay and are refused."""
    folder = tmp_path_factory.mktemp("lost")
    content = b"account_id,handle,bio\n" + b"".join(
        line + end for line, end in zip(body, ends, strict=False)
    )
    drops: list[tuple[int, str]] = []
    source = write(folder / "a.csv", content)
    kept = lines.mend_csv(
        source, folder / "copy", delimiter=",", width=3, drop=lambda *why: drops.append(why)
    )
    if kept + len(drops) == 0:
        return
    with duckdb.connect(config={"threads": 1}) as con, opened(con, source) as table:
        assert table.rows + sum(table.rejects.values()) == kept + len(drops)


WHOLE_FILES = [
    ("a.csv", b"", "the file is empty"),
    ("a.csv", HEAD, "a header and no rows"),
    ("a.csv", HEAD.strip(), "a header and no rows"),
    ("a.csv", HEAD + b"\n\n", "no rows"),
    ("a.csv", b"account_id,name\n1,ada\n", "no column 'handle'"),
    ("a.csv", b"handle\nada\n", "no column 'account_id'"),
    ("a.csv", b"account_id,handle,handle\n1,a,b\n", "the column 'handle' stands twice"),
    ("a.csv", b"\xff\xfea\0c\0", "not a UTF-8 header line"),
    ("a.csv", b"y" * 200_000, "the header is longer than"),
    ("a.jsonl", b"", "the file is empty"),
    ("a.jsonl", b"\n\n\n", "no rows"),
    ("a.jsonl", b'{"name": "ada"}\n', "no column 'account_id'"),
    ("a.parquet", b"", "the file is empty"),
    ("a.parquet", b"PAR1 and nothing more", "cannot be read to its end"),
    ("a.parquet", b"not a Parquet file at all", "cannot be read to its end"),
]


@pytest.mark.parametrize(("name", "content", "message"), WHOLE_FILES)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    file = write(folder / name, content)
    with pytest.raises(errors.Malformed) as refused:
        opened(con, file)
    assert message in refused.value.detail
    assert name in refused.value.detail
    assert list(folder.iterdir()) == [file]
    assert con.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall() == [
        (1,)
    ]


def test_a_missing_file_and_a_folder_are_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(errors.Malformed, match="there is no such file"):
        opened(con, tmp_path / "none.csv")
    with pytest.raises(errors.Malformed, match="no directory snapshot lies there"):
        opened(con, tmp_path)


def test_truncated_parquet_is_refused_and_nothing_is_half_done(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    numbers = [str(n) for n in range(50_000)]
    whole = parquet(tmp_path / "w.parquet", account_id=numbers, handle=numbers).read_bytes()
    good = write(tmp_path / "good.csv", HEAD + b"1,ada,,\n")
    for cut in (whole[: len(whole) // 2], whole[:-4], whole[:1000] + b"\0" * 3000 + whole[4000:]):
        bad = write(tmp_path / "bad.parquet", cut)
        with pytest.raises(errors.Malformed, match=r"bad\.parquet"):
            opened(con, good, bad)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "bad.parquet", "good.csv", "w.parquet",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("mapping", "message"),
    [({"handel": "handle"}, "'handel' is no column"), ({"bio": "about"}, "no column 'about'")],
)
def test_a_mapping_of_what_is_not_there_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, mapping: dict[str, str], message: str
) -> None:
    file = write(tmp_path / "a.csv", HEAD + b"1,ada,,\n")
    with pytest.raises(errors.Malformed, match=message):
        opened(con, file, mapping=mapping)


def test_no_file_and_an_unknown_profile_are_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(errors.Malformed, match="no account table"):
        accounts.open_accounts(con, [], mapping={}, profile=None)
    with pytest.raises(errors.Malformed, match="no profile"):
        opened(con, write(tmp_path / "a.csv", HEAD + b"1,ada,,\n"), profile="nosuch")


def test_a_line_of_a_gigabyte_is_one_refused_row_in_bounded_memory_and_time(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    with file.open("wb") as out:
        out.write(HEAD + b'1,ada,,\n2,"')
        for _ in range(1024):
            out.write(b"y" * (1 << 20))
        out.write(b"\n3,bob,,\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with opened(con, file) as table:
        assert [row[0] for row in rows(table, "handle")] == ["ada", "bob"]
        assert table.rejects == {"row_length": 1}
    assert time.monotonic() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    file.unlink()


def test_progress_counts_up_to_all_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    file = write(tmp_path / "a.csv", HEAD + b"".join(b"%d,h%d,,\n" % (n, n) for n in range(1000)))
    accounts.open_accounts(
        con, [file], mapping={}, profile="x", progress=lambda *so_far: told.append(so_far)
    ).close()
    assert told[-1] == (1000, 1000)
    assert told == sorted(told)


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


def test_two_tables_can_be_open_at_once(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", HEAD + "1,ada,,\n2,é,,\n".encode())
    with opened(con, file) as first, opened(con, file, profile="precis") as second:
        assert (first.rows, second.rows) == (1, 2)
        first.close()
        assert rows(second, "canonical") == [("ada",), ("é",)]
