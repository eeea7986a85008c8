"""A sweep in a process of its own: it needs an engine and memory that this one shall not keep."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from typing import Any

import duckdb

from onym.core.errors import AreaStopped, NotAllowed
from onym.flows import sweep as flow
from onym.jobs.queue import again, task
from onym.sweep import counts, snapshot

log = logging.getLogger(__name__)
LONGEST_SECONDS = 3_600


@task("sweep.run")
def run(*, sweep_id: str) -> None:
    """Sweep, count, keep the findings as a stock; begun again after a crash."""
    order = flow.begin(sweep_id=sweep_id)
    if order is None:
        return
    try:
        found = _swept(order)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        log.error("sweep %s: %s: %s", sweep_id, error, (error.stderr or b"")[-2_000:])
        flow.fail(sweep_id=sweep_id)
        return
    flow.finish(sweep_id=sweep_id, **found)


@task("sweep.adopt")
def adopt(*, sweep_id: str, attempt: int = 0) -> None:
    """Take what a sweep found into use; while reclaim is stopped, asked again until it is not."""
    try:
        flow.adopt(sweep_id=sweep_id)
    except AreaStopped:
        again("sweep.adopt", lock=sweep_id, attempt=attempt, sweep_id=sweep_id)
    except NotAllowed as refusal:
        log.error("sweep %s is not taken into use: %s", sweep_id, refusal)


def _swept(order: flow.Order) -> dict[str, Any]:
    if not order.stock.exists():
        shutil.rmtree(order.out, ignore_errors=True)
        subprocess.run(_command(order), check=True, capture_output=True, timeout=LONGEST_SECONDS)  # noqa: S603 - ours
    body = json.loads((order.out / "manifest.json").read_bytes())
    with duckdb.connect() as con:
        reasons = counts.reasons(con, order.out)
        if not (order.dry_run or order.stock.exists()):
            snapshot.write_stock(con, order.out, order.stock)
    if order.dry_run:
        shutil.rmtree(order.out)
    return {
        "accounts": body["rows"],
        "verdicts": body["verdicts"],
        "reasons": reasons,
        "stock": None if order.dry_run else order.stock,
    }


def _command(order: flow.Order) -> list[str]:
    command = [sys.executable, "-m", "onym.site.command", "sweep", str(order.accounts), "--json"]
    command += ["--policy", order.policy, "--as-of", order.as_of.isoformat()]
    command += ["--out", str(order.out), "--progress", str(order.progress)]
    for name, handles in order.lists.items():
        if handles:
            file = order.out.with_name(f"{order.out.name}.{name}")
            file.write_text("\n".join(handles) + "\n")
            command += [f"--{name}", str(file)]
    return command
