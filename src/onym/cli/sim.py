"""`onym sim`: seeded days of a market with an unreliable outside, audited; for a source checkout.

The simulation is a test and stays with the tests; this finds it and runs it in its own process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

import onym

LONGEST_SECONDS = 3_600


@click.command("sim")
@click.option(
    "--seed",
    "seeds",
    type=int,
    multiple=True,
    default=(1,),
    help="May be given again: one run each.",
)
@click.option(
    "--steps", type=click.IntRange(1, 100_000), default=150, help="How many things happen in a run."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a seed, for machines.")
def command(seeds: tuple[int, ...], steps: int, as_json: bool) -> int:
    """Let people, crashes and lost answers loose on a throw-away market, then audit it.

    The same seed gives the same events; it exits 1 when an audit finds a fault.

    \b
    Example:
      onym sim --seed 1 --steps 500
    """
    root = Path(onym.__file__).resolve().parents[2]
    if not (root / "tests" / "market_sim").is_dir():
        raise click.ClickException("the simulation comes with Onym's source tree only")
    asked = [f"--seed={seed}" for seed in seeds]
    given = [*asked, f"--steps={steps}", *(["--json"] if as_json else [])]
    paths = [str(root), str(root / "src"), os.environ.get("PYTHONPATH", "")]
    env = {k: v for k, v in os.environ.items() if not k.startswith("ONYM_")}
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ran = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.market_sim", *given],
        cwd=root,
        env=env,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    return ran.returncode
