"""The benchmark of the log measures real work: both trees agree and every proof verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from onym.cli import bench_log


def test_the_benchmark_gives_its_figures_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONYM_DATA", str(tmp_path))
    figures = bench_log.run(leaves=600, rounds=1, proofs=3)
    assert figures["ratio_pymerkle"] > 0
    assert figures["proof_ms"] > 0
    assert figures["proof_leaves"] == 100_000_000
    assert list(tmp_path.iterdir()) == []
