"""`onym import`: account tables, or the platform's own list, become a namespace's directory;
what a bank says of the operator's account is booked.

docs/guides/import.md walks through one; docs/reference/account-table.md has every column.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
from django.conf import settings

from onym.core import errors
from onym.flows import contacts, refresh
from onym.flows import moves as flow
from onym.flows import statement as statements
from onym.queries import bank as banks
from onym.queries import names as query
from onym.sweep import columns, snapshot
from onym.sweep.snapshot import Imported

NEEDS_DATABASE = True


@click.group("import")
def command() -> None:
    """Read account tables into a directory snapshot, or a bank statement into the books."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--namespace", required=True, metavar="N", help="Whose accounts these are.")
@click.option(
    "--map",
    "mapping",
    metavar="COLUMN=SOURCE,…",
    default="",
    help="Columns that have another name in the files.",
)
@click.option("--profile", metavar="P", help="What a handle is; default: the namespace's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def accounts(
    files: tuple[Path, ...], namespace: str, mapping: str, profile: str | None, as_json: bool
) -> None:
    """Read CSV, JSON Lines or Parquet FILEs as one account table and take it into use.

    Rows that cannot be believed are listed with their reasons and left out; they do not change
    the exit code.

    \b
    Example:
      onym import accounts accounts.csv --namespace main --map handle=name
    """
    place = query.namespace(namespace)
    try:
        columns_read = columns.read_mapping(mapping)
    except errors.Malformed as refusal:
        raise click.UsageError(refusal.detail) from refusal
    folder = refresh.new_folder(namespace)
    with _Bar(shown=sys.stderr.isatty() and not as_json) as bar:
        made = snapshot.import_accounts(
            files,
            folder,
            mapping=columns_read,
            profile=profile or place.profile,
            seal=contacts.seal,
            progress=bar.show,
        )
    facts = _facts(namespace, _register(namespace, made), made)
    click.echo(json.dumps(facts) if as_json else _told(facts))


@command.command()
@click.option("--namespace", required=True, metavar="N", help="Whose platform is read.")
@click.option("--whole", is_flag=True, help="Read all, not only what changed since the last time.")
@click.option(
    "--accept",
    metavar="ID",
    multiple=True,
    help="An account whose id was somebody else's before, and may be believed.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def platform(namespace: str, whole: bool, accept: tuple[str, ...], as_json: bool) -> None:
    """Read the platform's own list of accounts and take it into use.

    Where the platform tells what changed since, only that is read, beside what is known already.

    \b
    Example:
      onym import platform --namespace main
    """
    query.namespace(namespace)
    folder = refresh.new_folder(namespace)
    shown = sys.stderr.isatty() and not as_json
    show = (lambda rows: click.echo(f"\r{rows:,} rows", err=True, nl=False)) if shown else None
    done = refresh.directory(
        namespace=namespace, folder=folder, whole=whole, accept=accept, progress=show
    )
    facts = _facts(namespace, done.import_id, done.made)
    facts |= {
        "told": done.told,
        "since": done.since.isoformat() if done.since else None,
        "reused": list(done.reused),
    }
    click.echo(json.dumps(facts) if as_json else f"{_told(facts)}\n{_read(facts)}")


def _read(facts: dict[str, Any]) -> str:
    span = f"changed since {facts['since']}" if facts["since"] else "all that there are"
    lines = [f"the platform told {facts['told']:,} rows: {span}"]
    if facts["reused"]:
        lines.append("left out, for their ids were somebody else's (see --accept):")
        lines += [f"  {account_id}" for account_id in facts["reused"][:20]]
    return "\n".join(lines)


@command.command()
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("--namespace", metavar="N", help="Whose account it is of; default: the site's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def statement(file: BinaryIO, namespace: str | None, as_json: bool) -> None:
    """Read a bank statement (camt.053.001.02, .04 or .08) and book all of it, or nothing.

    \b
    Example:
      onym import statement camt053.xml
    """
    place = namespace or settings.NAMESPACE
    made = statements.book(namespace=place, file=file, by=None)
    found = banks.found(made.id)
    if as_json:
        facts = {"statement": made.id, "number": made.number, "lines": made.lines, "found": found}
        click.echo(json.dumps(facts))
        return
    click.echo(f"statement {made.number}: {made.lines:,} movements booked")
    for outcome, count in sorted(found.items()):
        click.echo(f"  {outcome:<10} {count:>8,}")


def _register(namespace: str, made: Imported) -> str:
    """Take the snapshot into use. After a refusal it goes; after an unknown outcome it stays,
    since the database may point to it."""
    try:
        return flow.import_directory(namespace=namespace, snapshot=made.snapshot)
    except errors.Refusal:
        shutil.rmtree(made.snapshot.path)
        raise


def _facts(namespace: str, import_id: str, made: Imported) -> dict[str, Any]:
    listed = made.snapshot.path / snapshot.REJECTS
    return {
        "import": import_id,
        "namespace": namespace,
        "profile": made.snapshot.profile,
        "rows": made.snapshot.rows,
        "rejects": sum(made.rejects.values()),
        "reasons": dict(made.rejects),
        "rejects_file": str(listed) if made.rejects else None,
        "ignored": list(made.ignored),
        "missing": list(made.missing),
        "root": made.snapshot.root,
        "sha256": made.snapshot.sha256,
        "path": str(made.snapshot.path),
    }


def _told(facts: dict[str, Any]) -> str:
    lines = [
        f"{facts['rows']:,} accounts are now the directory of {facts['namespace']}"
        f" (profile {facts['profile']}, import {facts['import']})",
        f"root {facts['root']}",
        f"{facts['rejects']:,} rows rejected",
        *(f"  {reason:<22} {count:>12,}" for reason, count in facts["reasons"].items()),
    ]
    if facts["rejects_file"]:
        lines.append(f"  listed in {facts['rejects_file']}")
    if facts["ignored"]:
        lines.append(f"ignored columns: {', '.join(facts['ignored'])}")
    if facts["missing"]:
        lines.append(f"missing columns, unknown for every account: {', '.join(facts['missing'])}")
    return "\n".join(lines)


class _Bar:
    """Progress with the time left, on a terminal; elsewhere nothing."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None
        self._done = 0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def show(self, done: int, total: int | None) -> None:
        if not self._shown or not total:
            return
        if self._bar is None:
            self._bar = click.progressbar(length=total, label="accounts", file=sys.stderr)
        self._bar.update(done - self._done)
        self._done = done
