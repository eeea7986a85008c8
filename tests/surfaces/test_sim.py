"""Short seeds of the simulated market: no fault, crashes survived, and a replay is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STEPS = 20


def test_seeded_days_end_without_a_fault_and_a_replay_is_the_same() -> None:
    seeds = [f"--seed={seed}" for seed in (6, 9, 6)]
    ran = subprocess.run(
        [sys.executable, "-m", "onym.site.command", "sim", *seeds, f"--steps={STEPS}", "--json"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    reports = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [report["faults"] for report in reports] == [[], [], []], ran.stderr
    assert ran.returncode == 0
    assert reports[0] == reports[2]
    assert reports[0]["digest"] != reports[1]["digest"]
    assert sum(report["crashes"] for report in reports) > 0
    assert all(sum(report["sales"].values()) > 0 for report in reports)
