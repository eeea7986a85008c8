"""The benchmark of the sweep measures real work: engine, Python loop and files agree."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from onym.cli import bench_sweep


def test_the_benchmark_gives_its_figures() -> None:
    figures = bench_sweep.run(rows=30_000, rounds=1)
    assert {"ratio_scan_cpu", "ratio_python", "rows_per_s", "peak_mb"} <= figures.keys()
    assert all(figures[name] > 0 for name in ("ratio_scan_cpu", "ratio_python", "rows_per_s"))
    assert figures["rows"] == 30_000
    assert figures["peak_mb"] < 1_000
    assert set(figures["findings"]) == {"protected", "reclaim", "retire", "warn"}


def test_its_data_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    bench_sweep.generate(tmp_path, 10_000)
    with duckdb.connect() as con:
        path = tmp_path / "accounts.parquet"
        idle, foreign, accounts = con.execute(
            "SELECT count_if(last_login_at <= TIMESTAMP '2026-10-21' OR last_login_at IS NULL"
            " AND account_id::BIGINT % 5 < 2), count_if(strlen(canonical) > length(canonical)),"
            f" count(DISTINCT account_id) FROM '{path}'"
        ).fetchall()[0]
    assert idle == pytest.approx(4_000, rel=0.02)
    assert (foreign, accounts) == (200, 10_000)
    before = path.read_bytes()
    bench_sweep.generate(tmp_path, 10_000)
    assert path.read_bytes() == before
