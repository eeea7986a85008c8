"""Account tables for the tests of this folder: written, opened, and read back."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from onym.sweep import accounts

HEAD = b"account_id,handle,followers,last_login_at\n"


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
