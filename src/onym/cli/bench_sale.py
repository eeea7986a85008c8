"""`onym bench sale`: settling and paying out in bulk beside one by one, on a durable PostgreSQL.

It has a throw-away server of its own in a process of its own, so that no market is touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

SALES = 100
ROUNDS = 5
LONGEST_SECONDS = 1_800


def run(*, sales: int = SALES, rounds: int = ROUNDS) -> dict[str, Any]:
    """`ratio_one_by_one` (goal ≥ 15) and `per_s`: sales settled and paid out a second in bulk.

    Each round runs both ways on sales of its own, in turn; medians of the rounds. The books are
    audited and summed after every round; `fsync_ms` is what one small durable write costs here.
    """
    data = Path(os.environ.get("ONYM_DATA", "data"))
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-sale-", dir=data) as name:
        env = {key: value for key, value in os.environ.items() if not key.startswith("ONYM_")}
        env.pop("DATABASE_URL", None)
        env |= {"ONYM_DATA": name, "ONYM_DEMO": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "onym.site.measure_sale", str(sales), str(rounds)],
            env=env,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    if ran.returncode:
        raise click.ClickException((ran.stderr.strip().splitlines() or ["it was stopped"])[-1])
    figures: dict[str, Any] = json.loads(ran.stdout)
    return figures
