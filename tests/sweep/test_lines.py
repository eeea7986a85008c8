"""Text files as rows: whatever a file looks like, no row is lost in silence."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sweep.tables import HEAD, opened, rows, write

from onym.sweep import lines


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


ODD = [b"\n\n", b"\r\n\r\n", b"\x00", b"\xc3", b"\r", b"\r\n"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("before", range(-3, 2))
def test_what_is_odd_is_seen_across_blocks(tmp_path: Path, odd: bytes, before: int) -> None:
    start = b"a,b\n"
    padding = lines.BLOCK + before - len(start)
    file = write(tmp_path / "a.csv", start + b"y" * padding + odd + b"z\n")
    assert not lines.survey(file, quoted=True).clean


@pytest.mark.parametrize("before", range(-3, 2))
def test_what_is_in_order_is_clean_across_blocks(tmp_path: Path, before: int) -> None:
    start = b"a,b\r\n"
    padding = lines.BLOCK + before - len(start)
    file = write(tmp_path / "a.csv", start + b"y" * padding + "é".encode() + b"\r\nz,\r\n")
    assert lines.survey(file, quoted=True) == lines.Survey(
        size=file.stat().st_size, rows=3, clean=True
    )
