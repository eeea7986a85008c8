"""`onym bench sweep`: a policy over generated accounts, beside a full scan and a Python loop.

docs/guides/sweep.md says what is measured. Goals: `ratio_scan_cpu` ≤ 4, `ratio_python` ≥ 25,
`peak_mb` < 1,000.
"""

# ruff: noqa: S608 (every name in these statements is ours)

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
import duckdb

from onym.core import policy as rules
from onym.sweep import compile as compiling
from onym.sweep import engines, lookalikes, manifest, source

ROUNDS = 5
ROWS = 5_000_000
SAMPLE = 20_000
LISTED, WORDS = 10_000, 200_000
MEMORY = "500MB"
AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
POLICY = "x-2023"

Cost = tuple[float, float]
"""Seconds of wall clock, seconds of CPU."""


def run(*, rows: int = ROWS, rounds: int = ROUNDS) -> dict[str, Any]:
    """The figures of docs/benchmarks, from a process of its own, so that `peak_mb` is a sweep's.

    The data is generated and equal in every run: 40 % idle, 2 % handles outside ASCII.
    """
    with tempfile.TemporaryDirectory(prefix="onym-bench-") as name:
        generate(Path(name), rows)
        command = [sys.executable, "-m", "onym.cli.bench_sweep", name, str(rounds)]
        done = subprocess.run(  # noqa: S603 - ourselves
            command, capture_output=True, text=True, check=False, env=os.environ
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise click.ClickException(f"the benchmark failed: {last}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# Data. Everything follows from the number of a row, so every machine makes equal rows.

_NAME = (
    "CASE WHEN i % 50 = 0 THEN 'é' ELSE '' END"
    " || substr(md5(CAST(i AS VARCHAR)), 1, CAST(2 + i % 7 AS INTEGER))"
    " || CAST(i % 100000 AS VARCHAR)"
)
_ACCOUNTS = """
SELECT CAST(i AS VARCHAR) AS account_id, upper(left(name, 1)) || substr(name, 2) AS handle,
  name AS canonical, {ago}(800 + a % 4000) AS created_at,
  CASE WHEN a % 200 > 0 THEN {ago}(CASE WHEN idle THEN 30 + b % 1500 ELSE b % 30 END) END
    AS last_login_at,
  CASE WHEN b % 3 > 0 THEN {ago}(CASE WHEN idle THEN 40 + c % 1500 ELSE c % 60 END) END
    AS last_post_at,
  CASE WHEN b % 7 = 0 THEN {ago}(a % 2000) END AS last_api_at,
  CASE WHEN c % 11 = 0 THEN {ago}(b % 2000) END AS last_payment_at,
  a % 100000 // (1 + b % 1000) AS followers, b % 500 AS following, c % 2000 AS posts,
  CASE WHEN c % 200 = 0 THEN 'suspended' ELSE 'active' END AS status,
  CASE WHEN c % 200 = 0 THEN {ago}(a % 500) END AS suspension_final_at,
  a % 5003 = 0 AS memorial, b % 211 = 0 AS verified, c % 2003 = 0 AS public_body,
  a % 7001 = 0 AS legal_hold, b % 97 = 0 AS minor, c % 4001 = 0 AS dispute_open,
  a % 5009 = 0 AS appeal_open, b % 53 = 0 AS subscriber, c % 970 / 1000.0 AS bot_score,
  a % 20000 // (1 + c % 1000) AS inbound_refs, CASE WHEN a % 9 = 0 THEN b % 4 = 0 END AS site_alive
FROM (SELECT i, {name} AS name, i % 5 < 2 AS idle, {hash}(i, 1) AS a, {hash}(i, 2) AS b,
  {hash}(i, 3) AS c FROM range({rows}) t(i))
"""
_LISTED = """
SELECT canonical, bool_or(i % 3 > 0) AS protected_list, bool_or(i % 3 < 2) AS reserved_list
FROM (SELECT i, {name} AS canonical FROM (SELECT j * {step} AS i FROM range({listed}) t(j)))
GROUP BY canonical
"""
_WORDS = """
SELECT word, bool_or(i % 3 = 0) AS dictionary_word, bool_or(i % 5 = 0) AS first_name,
  bool_or(i % 7 = 0) AS last_name, bool_or(i % 101 = 0) AS brand, bool_or(i % 103 = 0) AS culture
FROM (SELECT i, {name} AS word FROM (SELECT j * 97 AS i FROM range({words}) t(j))) GROUP BY word
"""


def generate(folder: Path, rows: int) -> None:
    """accounts.parquet, listed.parquet and words.parquet in `folder`."""
    values = {
        "name": _NAME,
        "rows": rows,
        "listed": LISTED,
        "words": WORDS,
        "step": max(rows // LISTED, 1),
        "ago": "bench_ago",
        "hash": "bench_hash",
    }
    with engines.connected(folder, MEMORY) as con:
        at = AS_OF.replace(tzinfo=None)
        con.execute(
            f"CREATE MACRO bench_ago(days) AS TIMESTAMP '{at}' - to_days(CAST(days AS INTEGER))"
        ).fetchall()
        con.execute(
            "CREATE MACRO bench_hash(i, salt) AS CAST(hash(i * 8 + salt) >> 2 AS BIGINT)"
        ).fetchall()
        for name, query in (("accounts", _ACCOUNTS), ("listed", _LISTED), ("words", _WORDS)):
            rows_of = query.format(**values)
            con.execute(
                f"COPY ({rows_of}) TO '{folder / name}.parquet' (FORMAT PARQUET)"
            ).fetchall()


# Measuring


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Each side in turn, medians over the rounds; what they find is compared."""
    question = _question(folder)
    with _connected(folder) as con, engines.offered(con, "stock", question):
        rows = int(con.execute("SELECT count(*) FROM stock").fetchall()[0][0])
        accounts = _accounts(con)
        assess, scan = _assessing(question), _scanning(con)
        sides: dict[str, Callable[[], object]] = {
            "scan": lambda: con.execute(scan).fetchall(),
            "sweep": lambda: con.execute(assess).fetchall(),
            "loop": lambda: _loop(accounts, question),
        }
        costs = {name: [_cost(work)] for name, work in sides.items()}
        for _ in range(rounds - 1):
            for name, work in sides.items():
                costs[name].append(_cost(work))
        _compare(con, question, accounts)
        found = {verdict: count for verdict, count, *_ in con.execute(assess).fetchall()}
    with _connected(folder) as con:
        written, beside = _files(con, question, folder)
    if written != found:
        raise SystemExit(f"the files hold {written}, the engine counted {found}")
    return _figures(rows, len(accounts), found, costs, beside)


def _figures(
    rows: int,
    sample: int,
    found: Mapping[str, int],
    costs: Mapping[str, Sequence[Cost]],
    beside: Mapping[str, Cost],
) -> dict[str, Any]:
    wall, cpu = (
        {name: median(cost[part] for cost in each) for name, each in costs.items()}
        for part in (0, 1)
    )
    per_s = rows / wall["sweep"]
    return {
        "ratio_scan_cpu": round(cpu["sweep"] / cpu["scan"], 2),
        "ratio_python": round(per_s / (sample / wall["loop"]), 1),
        "rows_per_s": round(per_s),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "rows": rows,
        "policy": POLICY,
        "findings": dict(sorted(found.items())),
        "scan_cpu_s": round(cpu["scan"], 3),
        "sweep_cpu_s": round(cpu["sweep"], 3),
        "python_rows_per_s": round(sample / wall["loop"]),
        "with_files_rows_per_s": round(rows / beside["files"][0]),
        "with_files_cpu_s": round(beside["files"][1], 3),
        "look_alikes_cpu_s": round(beside["look_alikes"][1], 3),
        "billion_and_a_half_extrapolated_s": round(1.5e9 / per_s),
        "rounds": len(costs["sweep"]),
    }


def _cost(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _question(folder: Path) -> engines.Question:
    with duckdb.connect() as con:
        words = con.sql(f"FROM '{folder / 'words.parquet'}'").to_arrow_table()
        listed = con.execute(f"FROM '{folder / 'listed.parquet'}'").fetchall()
    return engines.Question(
        policy=rules.built_in(POLICY),
        as_of=AS_OF,
        protected=[name for name, protected, _ in listed if protected],
        reserved=[name for name, _, reserved in listed if reserved],
        words=words.cast(engines.WORDS),
    )


@contextmanager
def _connected(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with engines.connected(folder, MEMORY) as con:
        path = folder / "accounts.parquet"
        there = {name for name, *_ in con.execute(f"DESCRIBE FROM '{path}'").fetchall()}
        types = {"string": "VARCHAR", "boolean": "BOOLEAN", "int64": "BIGINT", "float64": "DOUBLE"}
        columns = ", ".join(
            name if name in there else f"CAST(NULL AS {types[kind]}) AS {name}"
            for name, kind in compiling.schema().items()
        )
        file = source.file_name(path)
        con.execute(f"CREATE TEMP VIEW stock AS SELECT {columns} FROM {file}").fetchall()
        yield con


def _scanning(con: duckdb.DuckDBPyConnection) -> str:
    """Every value of every column is read, and nothing else is done."""
    reads = {"VARCHAR": "sum(strlen({}))", "BOOLEAN": "count_if({})", "BIGINT": "sum({})"}
    columns = con.execute("DESCRIBE stock").fetchall()
    read = ", ".join(reads.get(kind, "max({})").format(name) for name, kind, *_ in columns)
    return f"SELECT {read} FROM stock"


def _assessing(question: engines.Question) -> str:
    """Every column of every finding is computed; sums keep the engine from leaving one out."""
    return (
        "SELECT verdict, count(*), sum(len(reasons)), sum(idle_days), max(deadline_at),"
        " count_if(tier = 'rare'), sum(resting_days), sum(strlen(handle)),"
        " sum(strlen(canonical)), sum(strlen(account_id)), sum(followers), sum(inbound_refs)"
        f" FROM ({engines.sql(question.expression())}) GROUP BY verdict"
    )


def _accounts(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """A sample of rows as the Python loop reads them."""
    names = tuple(compiling.schema())
    rows = con.execute(
        f"SELECT {', '.join(names)} FROM stock WHERE hash(account_id) % 7 = 0 LIMIT {SAMPLE}"
    ).fetchall()
    zoned = ([v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in row] for row in rows)
    return [dict(zip(names, row, strict=True)) for row in zoned]


def _loop(accounts: Sequence[dict[str, Any]], question: engines.Question) -> list[rules.Verdict]:
    protected, reserved = set(question.protected), set(question.reserved)
    told = []
    for account in accounts:
        name = account["canonical"]
        account["protected_list"], account["reserved_list"] = name in protected, name in reserved
        told.append(rules.verdict(question.policy, account, question.as_of))
    return told


def _compare(
    con: duckdb.DuckDBPyConnection,
    question: engines.Question,
    accounts: Sequence[dict[str, Any]],
) -> None:
    """The engine and the loop say the same of every account of the sample."""
    ids = [account["account_id"] for account in accounts]
    rows = con.execute(
        f"SELECT account_id, verdict, reasons FROM ({engines.sql(question.expression(kept=True))})"
        " WHERE account_id IN (SELECT unnest(?))",
        [ids],
    ).fetchall()
    engine = {account_id: (verdict, tuple(reasons)) for account_id, verdict, reasons in rows}
    verdicts = zip(ids, _loop(accounts, question), strict=True)
    if engine != {id_: (found.verdict.value, found.reasons) for id_, found in verdicts}:
        raise SystemExit("the engine and the Python loop disagree")


def _files(
    con: duckdb.DuckDBPyConnection, question: engines.Question, folder: Path
) -> tuple[Counter[str], dict[str, Cost]]:
    """What a sweep writes: findings sorted, cut, hashed, with Merkle roots; then look-alikes."""
    out, found = folder / "out", manifest.Findings()
    out.mkdir()

    def write() -> None:
        with engines.assess(con, "stock", question) as batches:
            written = manifest.write(out, batches)
        found.partitions, found.verdicts = written.partitions, written.verdicts

    def compare() -> None:
        paths = [out / part.file for part in found.partitions]
        listed = {*question.protected, *question.reserved}
        lookalikes.write(con, "stock", paths, listed, out)

    costs = {"files": _cost(write), "look_alikes": _cost(compare)}
    return found.verdicts, costs


if __name__ == "__main__":
    click.echo(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
