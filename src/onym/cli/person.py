"""`onym person export` and `onym person erase`: what is kept about somebody, and forgetting it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import click
from django.conf import settings

from onym.core.errors import NotFound
from onym.flows import erasure, retention
from onym.queries import export

NEEDS_DATABASE = True


@click.group("person")
def command() -> None:
    """What is kept about a person; docs/concepts/privacy.md."""


@command.command("export")
@click.argument("mail")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output."
)
@click.option(
    "--namespace", metavar="N", default=lambda: settings.NAMESPACE, help="Default: the site's."
)
def export_(mail: str, out: Path | None, namespace: str) -> None:
    """Everything that is kept about the member with address MAIL, as one JSON object.

    \b
    Example:
      onym person export ada@example.org --out ada.json
    """
    told = export.export(export.member_of(namespace=namespace, mail=mail))
    text = json.dumps(told, ensure_ascii=False, indent=2)
    if out is None:
        click.echo(text)
    else:
        _write(out, text + "\n")


def _write(file: Path, text: str) -> None:
    """For its owner alone, also where a file was that others may read or have open."""
    number, fresh = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(number, "w") as aside:
            aside.write(text)
        os.replace(fresh, file)
    except BaseException:
        os.unlink(fresh)
        raise


@command.command("erase")
@click.argument("mail")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--namespace", metavar="N", default=lambda: settings.NAMESPACE, help="Default: the site's."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def erase(mail: str, yes: bool, namespace: str, as_json: bool) -> None:
    """Forget the member with address MAIL, or an address that was only ever written to.

    It cannot be undone. Sales, books and the public log stay, under a pseudonym.

    \b
    Example:
      onym person erase ada@example.org
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: say --yes")
    if not yes:
        click.confirm(f"Forget {mail} for good?", abort=True)
    try:
        member = export.member_of(namespace=namespace, mail=mail)
    except NotFound:
        rows = erasure.erase_address(namespace=namespace, mail=mail)
        facts: dict[str, object] = {"member": None, "rows": rows}
    else:
        erasure.erase(member=member)
        facts = {"member": member, "rows": None}
    click.echo(json.dumps(facts) if as_json else _said(facts))


def _said(facts: dict[str, object]) -> str:
    if facts["member"]:
        return f"{facts['member']} is a pseudonym without a person now"
    return f"the address is gone from {facts['rows']} rows"


@command.command("purge")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def purge(as_json: bool) -> None:
    """Take away now what has had its time, as the jobs process does once a day.

    \b
    Example:
      onym person purge --json
    """
    gone = retention.purge()
    if as_json:
        click.echo(json.dumps(gone))
    for kind, count in gone.items() if not as_json else ():
        click.echo(f"{kind:<14} {count}")
