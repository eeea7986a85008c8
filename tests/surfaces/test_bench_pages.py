"""The benchmark of pages asks a real server and checks every answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import words

from onym.cli import bench_pages


def test_the_benchmark_gives_its_figures_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONYM_DATA", str(tmp_path))
    words.bring(tmp_path / "lexicon")
    before = sorted(tmp_path.iterdir())
    figures = bench_pages.run(rounds=1, seconds=0.2)
    assert figures["ratio_one_query"] > 0
    assert figures["lookup_per_s"] > 0
    assert figures["one_query_per_s"] > 0
    assert sorted(tmp_path.iterdir()) == before
