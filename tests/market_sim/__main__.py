"""`python -m tests.market_sim --seed N`: each seed on a fresh database of a throw-away server."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import psycopg

from onym.site import embedded

TEMPLATE = "onym_sim"


def main() -> int:
    """Exit 1 when a seed led to a fault."""
    asked = argparse.ArgumentParser(prog="onym sim")
    asked.add_argument("--seed", type=int, action="append", default=[])
    asked.add_argument("--steps", type=int, default=150)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="onym-sim-") as name:
        return _run(Path(name), given.seed or [1], given.steps, as_json=given.json)


def _run(data: Path, seeds: list[int], steps: int, *, as_json: bool) -> int:
    os.environ["ONYM_DATA"] = str(data)
    os.environ["DATABASE_URL"] = embedded.address(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "onym.site.settings"
    with embedded.EmbeddedPostgres(data, fast=True):
        _prepare(data)
        bad = 0
        for turn, seed in enumerate(seeds):
            report = _live(data, seed, steps, turn)
            bad += bool(report["faults"])
            print(json.dumps(report) if as_json else _line(report), flush=True)
    return int(bad > 0)


def _prepare(data: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    connections.close_all()
    _command(data, f"ALTER DATABASE {embedded.NAME} RENAME TO {TEMPLATE}")


def _live(data: Path, seed: int, steps: int, turn: int) -> dict[str, object]:
    from django.conf import settings
    from django.db import connections
    from tests.market_sim.days import Days

    _command(data, f"CREATE DATABASE {embedded.NAME} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    settings.DATA = data / f"turn-{turn}"
    try:
        return asdict(Days(seed).run(steps))
    finally:
        connections.close_all()
        _command(data, f"DROP DATABASE {embedded.NAME} WITH (FORCE)")


def _command(data: Path, statement: str) -> None:
    with psycopg.connect(embedded.address(data, database="postgres"), autocommit=True) as link:
        link.execute(statement)  # type: ignore[call-overload]  # constants of this file


def _line(report: dict[str, object]) -> str:
    faults = report["faults"]
    told = [f"seed {report['seed']}: {report['steps']} steps, {report['crashes']} crashes,"]
    told.append(f"sales {report['sales']}, appeals {report['remedies']},")
    told.append(f"events {str(report['digest'])[:16]}")
    return " ".join(told) + "".join(f"\n  FAULT {f}" for f in faults)  # type: ignore[attr-defined]  # JSON


if __name__ == "__main__":
    sys.exit(main())
