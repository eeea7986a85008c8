"""`onym migrate`: bring the database's tables up to date."""

from __future__ import annotations

import json

import click

from onym.site import command as commands
from onym.site import database


@click.command("migrate")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Apply the migrations that the database lacks, and name them."""
    with database.connected(migrations="ignore"):
        applied = database.migrate()
    if as_json:
        click.echo(json.dumps({"applied": applied}))
        return
    for name in applied:
        click.echo(name)
    click.echo(f"{len(applied)} migrations applied" if applied else "nothing to do")


command.params.append(commands.data_option())
