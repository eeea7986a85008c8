"""`onym bench pages`: looking up a handle over the API beside a plain view that makes one query.

It has a throw-away server of its own in a process of its own, so that no market is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

ROUNDS = 7
SECONDS = 2.0
LONGEST_SECONDS = 900


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Any]:
    """`ratio_one_query` (goal ≥ 0.5): look-ups a second by one-query answers a second.

    Both are asked of the same two workers over kept connections, in turn, `seconds` each; medians
    of the rounds. Each answer is checked. `lookup_per_s` and `one_query_per_s` are what the
    machine gave.
    """
    data = Path(os.environ.get("ONYM_DATA", "data"))
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-pages-", dir=data) as name:
        if (data / "lexicon").exists():
            shutil.copy(data / "lexicon", name)
        env = {key: value for key, value in os.environ.items() if not key.startswith("ONYM_")}
        env.pop("DATABASE_URL", None)
        env |= {"ONYM_DATA": name, "ONYM_DEMO": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "onym.site.measure_pages", str(rounds), str(seconds)],
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
