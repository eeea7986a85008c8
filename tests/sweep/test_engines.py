"""Engines: the same sorted rows from each, and a clear word when one is not there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from onym.core import errors, policy
from onym.sweep import compile as compiling
from onym.sweep import engines, manifest

AS_OF = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
WORDS = pa.table(
    {
        "word": ["moon", "sunset"],
        "dictionary_word": [True, True],
        "first_name": [False, None],
        "last_name": [False, None],
        "brand": [None, False],
        "culture": [False, False],
    },
    schema=engines.WORDS,
)
ARROW = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp(6)": pa.timestamp("us"),
}
SCHEMA = pa.schema({name: ARROW[kind] for name, kind in compiling.schema().items()})


def account(rng: random.Random, number: int) -> dict[str, Any]:
    def instant() -> datetime | None:
        ago = timedelta(days=rng.randrange(1_000), microseconds=rng.randrange(-1, 2))
        return None if rng.random() < 0.1 else AS_OF.replace(tzinfo=None) - ago

    chance: dict[str, Any] = {
        "boolean": lambda: None if rng.random() < 0.01 else rng.random() < 0.03,
        "timestamp(6)": instant,
        "int64": lambda: rng.choice([None, 0, 9, 10, 5_000, 10_000]),
        "float64": lambda: rng.choice([None, 0.1, 0.95]),
        "string": lambda: None,
    }
    row = {name: chance[kind]() for name, kind in compiling.schema().items()}
    handle = rng.choice(["moon", "été", "ab", "Zed", "z_", "\U0001f319x", "معرّف", "sunset"])
    named = handle.casefold() + (str(number) if number > 8 else "")
    status = rng.choice(["active", "active", "suspended", None])
    return {
        **row,
        "account_id": f"{number}",
        "handle": handle,
        "canonical": named,
        "status": status,
    }


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    rng = random.Random(20261120)
    rows = [account(rng, number) for number in range(4_000)]
    with duckdb.connect() as con:
        con.register("given", pa.Table.from_pylist(rows, schema=SCHEMA))
        con.execute("CREATE TABLE people AS SELECT * FROM given").fetchall()
        yield con


def question(id_: str = "onym-default") -> engines.Question:
    return engines.Question(
        policy=policy.built_in(id_),
        as_of=AS_OF,
        protected=["moon11", "été7"],
        reserved=["moon11", "sunset40"],
        words=WORDS,
    )


def test_findings_come_sorted_by_the_bytes_of_the_handle(con: duckdb.DuckDBPyConnection) -> None:
    with engines.assess(con, "people", question()) as found:
        rows = pa.Table.from_batches(found, engines.FINDINGS).to_pylist()
    assert len(rows) > 1_000
    keys = [(row["canonical"].encode(), row["account_id"].encode()) for row in rows]
    assert keys == sorted(keys)
    assert {row["verdict"] for row in rows} == {"warn", "reclaim", "retire", "protected"}
    assert all(row["deadline_at"].tzinfo for row in rows if row["deadline_at"])


def test_nothing_is_left_on_the_connection(con: duckdb.DuckDBPyConnection) -> None:
    before = con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    with engines.assess(con, "people", question()) as found:
        next(found)
    assert con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall() == before
    assert con.execute("SELECT count(*) FROM people").fetchall() == [(4_000,)]


def test_an_unknown_engine_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    with (
        pytest.raises(errors.Malformed, match="no engine is called 'polars'; there are duckdb"),
        engines.assess(con, "people", question(), engine="polars"),
    ):
        raise AssertionError("nothing may run")


@pytest.mark.parametrize("id_", policy.BUILT_IN)
def test_spark_and_duckdb_give_equal_digests(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, id_: str
) -> None:
    digests = []
    for engine in engines.ENGINES:
        folder = tmp_path / engine
        folder.mkdir()
        with engines.assess(con, "people", question(id_), engine=engine, scratch=tmp_path) as found:
            written = manifest.write(folder, found, partition_rows=700)
        digests.append([(part.rows, part.digest, part.root) for part in written.partitions])
    assert digests[0] == digests[1]
    assert len(digests[0]) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["duckdb", "spark"]
