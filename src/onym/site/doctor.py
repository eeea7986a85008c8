"""`onym doctor`: looks at everything that an installation stands on, and says what to do.

Nothing is changed, and nobody outside is asked for more than an answer. docs/guides/doctor.md.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import psycopg

from onym.core.errors import Refusal
from onym.site import command as commands
from onym.site import database, embedded, environment, settings_file
from onym.site.findings import Finding, fail, ok, warn

LEAST_BYTES = 500_000_000
AREAS = (
    *("settings", "database", "market", "log", "jobs", "disk"),
    *("mail", "dns", "platform", "payments", "witnesses"),
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@click.command("doctor")
@click.option(
    "--without",
    "without",
    multiple=True,
    type=click.Choice(AREAS),
    metavar="AREA",
    help="Do not look at it; again for more.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, without: tuple[str, ...], as_json: bool) -> None:
    """Look at settings, database, log, disk, jobs, mail, platform, payments and witnesses.

    \b
    Example:
      onym doctor --without payments
    """
    found = []
    for finding in examine(frozenset(without)):
        found.append(finding)
        if not as_json:
            click.echo(str(finding))
    is_well = all(finding.state != "fail" for finding in found)
    if as_json:
        told = {"ok": is_well, "findings": [finding.plain() for finding in found]}
        click.echo(json.dumps(told))
    if not is_well:
        context.exit(1)


command.params.append(commands.data_option())


def examine(without: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """Every finding, area by area; an examination that breaks is a finding, too."""
    data_dir = embedded.data_directory()
    if not (os.environ.get("DATABASE_URL") or (data_dir / "postgres").exists()):
        todo = "name another with --data, or run onym init; DATABASE_URL leads to a database"
        yield fail("database", f"there is no market in {data_dir}", todo)
        return
    yield from _looked("settings", _settings, without)
    try:
        database.set_up()
    except Refusal as refusal:
        yield fail("settings", refusal.detail, "correct it, and run onym doctor again")
        return
    from onym.site import doctor_log, doctor_mail, doctor_outside

    try:
        with database.reached() as url:
            for area, look in doctor_log.areas(url).items():
                yield from _looked(area, look, without)
    except Refusal as refusal:
        yield fail("database", refusal.detail, "start it, or correct DATABASE_URL")
    yield from _looked("disk", _disk, without)
    for area, look in (doctor_mail.AREAS | doctor_outside.AREAS).items():
        yield from _looked(area, look, without)


def _looked(
    area: str, look: Callable[[], Iterator[Finding]], without: frozenset[str]
) -> Iterator[Finding]:
    if area in without:
        return
    try:
        yield from look()
    except Exception as fault:  # whatever is wrong with it must not hide the rest
        line = (str(fault).strip().splitlines() or [""])[0]
        yield fail(area, f"{type(fault).__name__}: {line}", _todo(area, fault))


def _todo(area: str, fault: Exception) -> str:
    if isinstance(fault, psycopg.OperationalError) or type(fault).__name__ == "OperationalError":
        return "start the database, or correct DATABASE_URL"
    return f"look at {area} by hand; if nothing is wrong there, it is a bug: send us this line"


def _settings() -> Iterator[Finding]:
    data_dir = embedded.data_directory()
    yield from _private(data_dir)
    yield from _misspelt(data_dir)
    base = os.environ.get("ONYM_BASE_URL", "")
    parts = urlsplit(base)
    if os.environ.get("ONYM_DEMO"):
        yield warn("settings", "this is the demo", "take ONYM_DEMO away before anybody pays")
    if not base:
        yield fail("settings", "ONYM_BASE_URL is not set", "set it to where people find the site")
    elif parts.hostname in LOOPBACK:
        yield warn("settings", f"{base} is this machine", "links in mails lead nowhere else")
    elif parts.scheme != "https":
        yield fail("settings", f"{base} is not https", "sign-ins need TLS: put a proxy in front")
    else:
        yield ok("settings", f"the site is {base}")


def _misspelt(data_dir: Path) -> Iterator[Finding]:
    """What onym.env sets and nobody reads."""
    known = {one.name for group in environment.GROUPS.values() for one in group}
    for name in settings_file.in_(data_dir):
        if name.startswith("ONYM_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            todo = f"write {near[0]}" if near else "docs/reference/settings.md names all"
            yield warn("settings", f"there is no setting {name}", todo)


def _private(data_dir: Path) -> Iterator[Finding]:
    """Nobody else may read keys and settings."""
    watched = [*sorted(data_dir.glob("onym.env*")), *sorted((data_dir / "keys").glob("*"))]
    public = (".pem",)
    for path in watched:
        if not path.exists() or path.suffix in public:
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield fail("settings", f"{path} may be read by others", f"chmod 600 {path}")


def _disk() -> Iterator[Finding]:
    from django.conf import settings

    data_dir = embedded.data_directory()
    used = shutil.disk_usage(data_dir)
    share = used.free / used.total
    told = f"{used.free / 1e9:.1f} GB free of {used.total / 1e9:.1f} GB for {data_dir}"
    more = "make room: without it nothing is sold and nothing is signed"
    if used.free < LEAST_BYTES:
        yield fail("disk", told, more)
    elif share < 0.1:
        yield warn("disk", told, more)
    else:
        yield ok("disk", told)
    if settings.BACKUP_FILE:
        yield from _backup(Path(settings.BACKUP_FILE))


def _backup(file: Path) -> Iterator[Finding]:
    """The last backup, where a setting says where it lies."""
    todo = f"run onym backup {file} --force every day"
    if not file.exists():
        yield fail("disk", f"there is no backup at {file}", todo)
        return
    hours = (time.time() - file.stat().st_mtime) / 3600
    told = f"the backup {file} is {hours:.0f} hours old"
    yield ok("disk", told) if hours < 36 else warn("disk", told, todo)
