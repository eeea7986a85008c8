"""`onym migrate`: bring the database's tables up to date."""

from __future__ import annotations

import json

import click

from onym.site import command as commands
from onym.site import database


@click.command("migrate")
@click.option("--plan", is_flag=True, help="Only say what is missing.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(0.1, 3600),
    default=database.LOCK_SECONDS,
    show_default=True,
    help="Seconds to wait for a table that is in use, before trying again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(plan: bool, lock_timeout: float, as_json: bool) -> None:
    """Apply the migrations that the database lacks, and name them.

    \b
    Example:
      onym migrate --plan
    """
    with database.connected(migrations="ignore"):
        missing = database.missing_migrations() if plan else []
        applied = [] if plan else database.migrate(lock_seconds=lock_timeout)
    if as_json:
        click.echo(json.dumps({"missing": missing} if plan else {"applied": applied}))
        return
    for name in missing or applied:
        click.echo(name)
    if plan:
        click.echo(f"{len(missing)} migrations are missing" if missing else "nothing is missing")
    else:
        click.echo(f"{len(applied)} migrations applied" if applied else "nothing to do")


command.params.append(commands.data_option())
