"""The benchmark of settlement settles and pays real sales and audits them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from onym.cli import bench, bench_sale


def test_the_benchmark_gives_its_figures_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONYM_DATA", str(tmp_path))
    figures = bench_sale.run(sales=3, rounds=2)
    assert figures["ratio_one_by_one"] > 0
    assert figures["per_s"] > figures["one_by_one_per_s"] > 0
    assert figures["fsync_ms"] > 0
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_benchmark_is_a_usage_error_that_names_the_known_ones() -> None:
    told = CliRunner().invoke(bench.command, ["nonsense"])
    assert told.exit_code == 2
    assert "sale" in told.output


def test_figures_are_a_line_each_or_one_object() -> None:
    figures = {"per_s": 2, "ratio_one_by_one": 3}
    assert bench.said(figures, as_json=False) == "per_s: 2\nratio_one_by_one: 3"
    assert json.loads(bench.said(figures, as_json=True)) == figures
