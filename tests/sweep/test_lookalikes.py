"""Look-alikes: a finding that resembles what is protected or much followed is listed."""

from __future__ import annotations

import itertools
import string
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb.func import PythonUDFType

from onym.core import names
from onym.sweep import lookalikes


def shapes(handles: list[str]) -> list[str]:
    with duckdb.connect() as con:
        con.create_function(
            "onym_skeleton",
            lookalikes.skeletons,
            ["varchar"],
            "varchar",
            type=PythonUDFType.ARROW,
        )
        con.register("given", pa.table({"name": handles}))
        found = con.execute(f"SELECT {lookalikes.skeleton('name')} FROM given").fetchall()
    return [shape for (shape,) in found]


def test_the_engine_gives_the_skeleton_that_python_gives() -> None:
    plain = string.ascii_lowercase + string.digits + "_-"
    handles = ["".join(pair) for pair in itertools.product(plain, repeat=2)]
    handles += ["été", "ѕсоре", "معرّف", "m\u0301m", "rnodern", "ΑΒΓ", "ﬁ", "ⅷ", "\U0001f319"]
    assert shapes(handles) == [names.skeleton(handle) for handle in handles]


ACCOUNTS = [
    ("modern", "1", 20_000),
    ("rnodern", "2", 3),
    ("m0dern", "3", 3),
    ("star", "4", 9_999),
    ("5tar", "5", 3),
    ("bob", "6", 3),
    ("b0b", "7", 3),
    ("ѕсоре", "8", 3),
]
FINDINGS: list[tuple[str, str, str, list[str]]] = [
    ("rnodern", "2", "reclaim", ["idle_login"]),
    ("m0dern", "3", "warn", ["idle_login"]),
    ("b0b", "7", "reclaim", ["idle_login"]),
    ("rn0dern", "10", "retire", ["idle_login", "many_references"]),
    ("808", "11", "warn", ["idle_login"]),
    ("bob", "6", "protected", ["unknown_minor"]),
    ("8o8", "9", "protected", ["memorial"]),
    ("ѕсоре", "8", "reclaim", ["idle_login"]),
]


def found(folder: Path, listed: list[str]) -> list[dict[str, Any]]:
    columns = list(zip(*FINDINGS, strict=True))
    rows = dict(
        zip(("canonical", "account_id", "verdict", "reasons"), map(list, columns), strict=True)
    )
    pq.write_table(pa.table(rows), folder / "findings-0000.parquet")
    with duckdb.connect() as con:
        con.execute("CREATE TABLE people (canonical VARCHAR, account_id VARCHAR, followers BIGINT)")
        con.executemany("INSERT INTO people VALUES (?, ?, ?)", ACCOUNTS)
        paths = [folder / "findings-0000.parquet"]
        told = lookalikes.write(con, "people", paths, listed, folder)
        assert lookalikes.write(con, "people", paths, listed, folder) == told
    assert told.rows == pq.read_table(folder / told.file).num_rows
    return pq.read_table(folder / told.file).to_pylist()  # type: ignore[no-any-return]  # untyped


def test_findings_for_sale_that_resemble_a_notable_handle_are_listed(tmp_path: Path) -> None:
    listed = [tuple(row.values()) for row in found(tmp_path, [])]
    assert listed == [
        ("808", "11", "8o8", "9"),
        ("m0dern", "3", "modern", "1"),
        ("rnodern", "2", "modern", "1"),
    ]


@pytest.mark.parametrize("listed", ["scope"])
def test_a_listed_handle_is_notable_even_if_nobody_holds_it(tmp_path: Path, listed: str) -> None:
    rows = [row for row in found(tmp_path, [listed]) if row["resembles"] == listed]
    assert [(row["canonical"], row["resembles_account_id"]) for row in rows] == [("ѕсоре", None)]
