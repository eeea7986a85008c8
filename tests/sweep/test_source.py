"""Source files: what a file must be, and what is refused as a whole."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from tests.sweep.tables import HEAD, opened, parquet, rows, write

from onym.core import errors


def test_one_source_column_may_be_mapped_twice_and_unknown_ones_are_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", b"handle,lapsed_at,paid\nada,2020-05-04T00:00:00Z,1\n")
    mapping = {"account_id": "handle", "last_login_at": "lapsed_at"}
    with opened(con, file, mapping=mapping) as table:
        assert rows(table, "account_id", "handle", "CAST(last_login_at AS VARCHAR)") == [
            ("ada", "ada", "2020-05-04 00:00:00")
        ]
        assert table.ignored == ("paid",)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, delimiter: str
) -> None:
    text = "account_id,handle,bio\n1,ada,hello\n2,bob\n".replace(",", delimiter)
    with opened(con, write(tmp_path / "a.csv", text.encode())) as table:
        assert rows(table, "account_id", "handle", "bio") == [("1", "ada", "hello")]
        assert table.rejects == {"row_columns": 1}


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
