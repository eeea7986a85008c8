"""A sweep in a process of its own: it needs an engine and memory that this one shall not keep."""

from __future__ import annotations

import shutil
import subprocess
import sys

import duckdb

from onym.core.errors import AlreadyClosed
from onym.flows import plan
from onym.flows import sweep as flow
from onym.jobs.queue import task
from onym.queries import clock
from onym.sweep import snapshot

LONGEST_SECONDS = 3_600


@task("sweep.run")
def run(*, sweep_id: str, namespace: str, policy: str, by: str) -> None:
    """Sweep, keep the findings as a stock, propose the plan; begun again after a crash."""
    order = flow.begin(sweep_id=sweep_id, namespace=namespace, policy=policy)
    if not order.stock.exists():
        shutil.rmtree(order.out, ignore_errors=True)
        subprocess.run(_command(order), check=True, capture_output=True, timeout=LONGEST_SECONDS)  # noqa: S603 - ours
        with duckdb.connect() as con:
            snapshot.write_stock(con, order.out, order.stock)
    try:
        plan.adopt(namespace=namespace, stock=order.stock, by=by, starts_at=clock.now())
    except AlreadyClosed:
        return


def _command(order: flow.Order) -> list[str]:
    command = [sys.executable, "-m", "onym.site.command", "sweep", str(order.accounts), "--json"]
    command += ["--policy", order.policy, "--as-of", order.as_of.isoformat()]
    command += ["--out", str(order.out)]
    for name, handles in order.lists.items():
        if handles:
            file = order.out.with_name(f"{order.out.name}.{name}")
            file.write_text("\n".join(handles) + "\n")
            command += [f"--{name}", str(file)]
    return command
