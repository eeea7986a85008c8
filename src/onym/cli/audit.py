"""`onym audit`: every invariant of the market, a line each; exit 1 when one is violated."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from onym.queries import audit

NEEDS_DATABASE = True


@click.command("audit")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(as_json: bool) -> int:
    """Check every invariant in one snapshot of the running market.

    \b
    Example:
      onym audit --json
    """
    checks = audit.run()
    if as_json:
        click.echo(json.dumps({"checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            click.echo(str(check))
    return int(any(check.verdict is audit.Verdict.VIOLATED for check in checks))
