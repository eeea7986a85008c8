"""The engines that assess an account table: DuckDB on one machine, Spark on a cluster.

Both run the one expression of sweep/compile.py and hand over the same rows in the same order.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types

from onym.core import errors
from onym.core.policy import Policy
from onym.sweep import compile as compiling

ENGINES = ("duckdb", "spark")
BATCH_ROWS = 65_536
MEMORY = "700MB"
"""What DuckDB may hold; beyond it, it works on the disk."""

FINDINGS = pa.schema(
    {
        "handle": pa.string(),
        "canonical": pa.string(),
        "account_id": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "idle_days": pa.int64(),
        "deadline_at": pa.timestamp("us", "UTC"),
        "tier": pa.string(),
        "resting_days": pa.int64(),
        "followers": pa.int64(),
        "inbound_refs": pa.int64(),
    }
)
"""What an engine gives; the last two columns are for whoever appraises the finding."""

WORDS = pa.schema({"word": pa.string(), **dict.fromkeys(compiling.WORD_FACTS, pa.bool_())})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about an account table; the lists hold canonical handles.

    `words` is a table of the schema WORDS, or None: then tiers rest on the handle's shape alone.
    """

    policy: Policy
    as_of: datetime
    protected: Collection[str] = ()
    reserved: Collection[str] = ()
    words: pa.Table | None = None

    def expression(self, *, kept: bool = False) -> Any:
        return compiling.expression(
            self.policy,
            self.as_of,
            listed=bool(self.listed().num_rows),
            words=self.words is not None,
            kept=kept,
        )

    def listed(self) -> pa.Table:
        """Each listed handle once, with a flag for each list."""
        protected, reserved = set(self.protected), set(self.reserved)
        both = sorted(protected | reserved)
        return pa.table(
            {
                "canonical": pa.array(both, pa.string()),
                "protected_list": pa.array([name in protected for name in both], pa.bool_()),
                "reserved_list": pa.array([name in reserved for name in both], pa.bool_()),
            }
        )


def version(engine: str) -> str:
    """The release of the engine's library."""
    return importlib.metadata.version({"duckdb": "duckdb", "spark": "pyspark"}[engine])


@contextlib.contextmanager
def assess(
    con: duckdb.DuckDBPyConnection,
    table: str,
    question: Question,
    *,
    engine: str = "duckdb",
    scratch: Path | None = None,
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The findings about the accounts in `table` of `con`, sorted by canonical and account_id.

    The batches have the schema FINDINGS and live inside the `with` block. Refuses `malformed` for
    an engine that is not there.
    """
    if engine not in ENGINES:
        raise errors.Malformed(f"no engine is called {engine!r}; there are {', '.join(ENGINES)}")
    run = _duckdb if engine == "duckdb" else _spark
    with run(con, table, question, scratch) as batches:
        yield (_typed(batch) for batch in batches)


def _typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [batch.column(field.name).cast(field.type) for field in FINDINGS]
    return pa.RecordBatch.from_arrays(columns, schema=FINDINGS)


def _sorted(question: Question) -> Any:
    return question.expression().order_by("canonical", "account_id")


# DuckDB


@contextlib.contextmanager
def connected(scratch: Path, memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that works in `scratch` where `memory` is not enough, and prints nothing."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(scratch),
    }
    with duckdb.connect(config=config) as con:
        # By itself it draws a bar over whatever the command prints.
        con.execute("SET enable_progress_bar = false").fetchall()
        yield con


@contextlib.contextmanager
def offered(con: duckdb.DuckDBPyConnection, table: str, question: Question) -> Iterator[None]:
    """The tables of an expression under their names, for as long as the block lasts."""
    columns = ", ".join(compiling.schema())
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW {compiling.ACCOUNTS} AS SELECT {columns} FROM {table}"  # noqa: S608 - names of ours
    ).fetchall()
    given = {compiling.LISTED: question.listed(), compiling.WORDS: question.words}
    for name, rows in given.items():
        if rows is not None:
            con.register("onym_given", rows)
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM onym_given"  # noqa: S608
            ).fetchall()
            con.unregister("onym_given")
    try:
        yield
    finally:
        con.execute(f"DROP VIEW IF EXISTS {compiling.ACCOUNTS}").fetchall()
        for name in given:
            con.execute(f"DROP TABLE IF EXISTS {name}").fetchall()


def sql(expression: Any) -> str:
    """The expression in DuckDB's language."""
    return str(ibis.to_sql(expression, dialect="duckdb"))


@contextlib.contextmanager
def _duckdb(
    con: duckdb.DuckDBPyConnection,
    table: str,
    question: Question,
    scratch: Path | None,  # noqa: ARG001 - the connection has a folder of its own
) -> Iterator[Iterator[pa.RecordBatch]]:
    with offered(con, table, question):
        reader: Any = con.sql(sql(_sorted(question))).to_arrow_reader(BATCH_ROWS)
        try:
            yield iter(reader)
        finally:
            reader.close()


# Spark


@contextlib.contextmanager
def _spark(
    con: duckdb.DuckDBPyConnection, table: str, question: Question, scratch: Path | None
) -> Iterator[Iterator[pa.RecordBatch]]:
    folder = Path(tempfile.mkdtemp(prefix="onym-spark-", dir=scratch))
    try:
        columns = ", ".join(compiling.schema())
        accounts = folder / "accounts.parquet"
        con.execute(
            f"COPY (SELECT {columns} FROM {table}) TO '{_quoted(accounts)}' (FORMAT PARQUET)"  # noqa: S608
        ).fetchall()
        with _session(folder) as session:
            _write_sorted(session, folder, question)
        yield _in_order(folder / "findings")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


@contextlib.contextmanager
def _session(folder: Path) -> Iterator[Any]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise errors.Malformed(
            "the engine spark needs pyspark, which is not installed: "
            "pip install -r requirements/spark.txt"
        ) from None
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise errors.Malformed("the engine spark needs Java 17, which is not installed")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master(os.environ.get("ONYM_SPARK_MASTER", "local[*]"))
        .appName("onym sweep")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    try:
        yield session
    finally:
        session.stop()


def _write_sorted(session: Any, folder: Path, question: Question) -> None:
    """One Parquet file for each range of handles; their names are in the order of the ranges."""
    backend = ibis.pyspark.connect(session)
    session.read.parquet(str(folder / "accounts.parquet")).createOrReplaceTempView(
        compiling.ACCOUNTS
    )
    for name, rows in ((compiling.LISTED, question.listed()), (compiling.WORDS, question.words)):
        if rows is not None:
            pq.write_table(rows, folder / f"{name}.parquet")
            session.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
    found = session.sql(str(backend.compile(_sorted(question))))
    found.write.parquet(str(folder / "findings"))


def _in_order(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in sorted(folder.glob("part-*.parquet")):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH_ROWS)
