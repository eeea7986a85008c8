"""Which findings look like a handle that is protected or much followed: selling one of those
needs a second person, and the holder of the other is told (docs/guides/sweep.md)."""

# ruff: noqa: S608 (every name in these statements is ours)

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
from duckdb.func import PythonUDFType

from onym.core import names
from onym.sweep.manifest import File, sha256_of

FILE = "look_alikes.parquet"
MUCH_FOLLOWED = 10_000
"""Followers from which a handle is worth imitating."""

_PLAIN = string.ascii_lowercase + string.digits + "_-"


def skeleton(column: str) -> str:
    """SQL for names.skeleton: plain text in the engine, the rest through `onym_skeleton`."""
    folded = column
    for char in _PLAIN:
        if (shape := names.skeleton(char)) != char:
            folded = f"replace({folded}, '{char}', '{shape}')"
    plain = f"strlen({column}) = length({column})"  # as many bytes as characters
    return f"CASE WHEN {plain} THEN {folded} ELSE onym_skeleton({column}) END"


def skeletons(handles: pa.Array) -> pa.Array:
    """names.skeleton of many handles in one go: it works character by character, and no handle
    holds a line feed, so all of them can be one text."""
    texts = handles.to_pylist()
    return pa.array(names.skeleton("\n".join(texts)).split("\n") if texts else [], pa.string())


def write(
    con: duckdb.DuckDBPyConnection,
    table: str,
    findings: Iterable[Path],
    listed: Iterable[str],
    folder: Path,
) -> File:
    """Write FILE to `folder`: `canonical` and `account_id` of each finding that may be sold, and
    the handle that it `resembles` with its account, sorted.

    Worth resembling are handles on a list, accounts that a known signal protects, and those with
    MUCH_FOLLOWED followers in `table`.
    """
    paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in findings)
    out = folder / FILE
    target = str(out).replace("'", "''")
    con.create_function(
        "onym_skeleton", skeletons, ["varchar"], "varchar", type=PythonUDFType.ARROW
    )
    con.register("onym_listed", pa.table({"canonical": pa.array(sorted(set(listed)), pa.string())}))
    try:
        con.execute(
            f"COPY ({_query(table, paths)}) TO '{target}' (FORMAT PARQUET, COMPRESSION ZSTD)"
        ).fetchall()
        rows = con.execute("SELECT count(*) FROM read_parquet(?)", [str(out)]).fetchall()[0][0]
    finally:
        con.unregister("onym_listed")
        con.remove_function("onym_skeleton")
    return File(FILE, rows, sha256_of(out))


def _query(table: str, paths: str) -> str:
    found = f"read_parquet([{paths}])"
    return f"""
    WITH notable AS (
      SELECT canonical, account_id FROM {table} WHERE followers >= {MUCH_FOLLOWED}
      UNION SELECT canonical, account_id FROM {found}
        WHERE verdict = 'protected' AND NOT starts_with(reasons[1], 'unknown_')
      UNION SELECT canonical, NULL FROM onym_listed
    ), shaped AS (
      SELECT canonical AS resembles, max(account_id) AS resembles_account_id,
        {skeleton("canonical")} AS shape FROM notable GROUP BY canonical
    ), sold AS (
      SELECT canonical, account_id, {skeleton("canonical")} AS shape FROM {found}
        WHERE verdict IN ('warn', 'reclaim')
    )
    SELECT canonical, account_id, resembles, resembles_account_id
    FROM sold JOIN shaped USING (shape)
    WHERE canonical <> resembles ORDER BY canonical, account_id, resembles
    """
