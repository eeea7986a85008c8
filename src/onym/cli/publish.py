"""`onym publish`: a new version of a policy, fees, guidelines or tax rates, from a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from django.conf import settings

from onym.core import events
from onym.flows import documents

NEEDS_DATABASE = True


@click.command("publish")
@click.argument("kind", type=click.Choice(sorted(documents.EVENTS)))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--from", "begins", type=click.DateTime(), help="In force from then on (UTC).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(kind: str, file: Path, begins: datetime | None, as_json: bool) -> None:
    """Check FILE and publish it as the next version of its KIND; nothing is ever edited.

    \b
    Example:
      onym publish fees fees.toml --from 2027-01-01
    """
    made = documents.publish(
        namespace=settings.NAMESPACE,
        kind=kind,
        text=file.read_text(encoding="utf-8"),
        effective_from=begins.replace(tzinfo=UTC) if begins else None,
    )
    facts = {
        "kind": kind,
        "id": made.name,
        "version": made.version,
        "effective_from": events.instant(made.effective_from),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{kind} {made.name}/{made.version} is in force from {made.effective_from}")
