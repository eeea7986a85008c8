"""`onym bench NAME`: measurements as ratios of two things run side by side, results asserted."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import click

NAMES = ("log", "pages", "sale", "sweep")


def _there() -> list[str]:
    return [name for name in NAMES if importlib.util.find_spec(f"onym.cli.bench_{name}")]


@click.command("bench")
@click.argument("name", type=click.Choice(_there()))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(name: str, as_json: bool) -> None:
    """Measure NAME; docs/benchmarks says what each figure means.

    \b
    Example:
      onym bench sale --json
    """
    click.echo(said(importlib.import_module(f"onym.cli.bench_{name}").run(), as_json=as_json))


def said(figures: Mapping[str, Any], *, as_json: bool) -> str:
    """The figures as one JSON object, or a line each."""
    if as_json:
        return json.dumps(figures)
    return "\n".join(f"{key}: {value}" for key, value in figures.items())
