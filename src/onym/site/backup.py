"""`onym backup FILE`: the database, the log's files, the keys and the snapshots, in one file.

Taken while everything runs. The log's files are linked aside before the database's snapshot is
taken and the other files copied after it, so the database knows every leaf that the files hold,
and the files everything that a row names. docs/guides/backup.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import click
import psycopg

from onym.core.errors import InProgress, Malformed
from onym.site import archive, database, dump, embedded, settings_file
from onym.site import command as commands
from onym.site import keys as keyring
from onym.tlog import checkpoint, integrator, tiles

LOCAL_KEYS = frozenset({"database", "environment.json"})
"""Of this machine alone: the embedded server's password, and what `onym up` last ran with."""


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Seal the keys under the first line of this file.",
)
@click.option("--without-keys", is_flag=True, help="Leave the keys out; keep them elsewhere.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    file: Path, passphrase_file: Path | None, without_keys: bool, force: bool, as_json: bool
) -> None:
    """Write database, log, snapshots and keys to FILE, while everything runs.

    \b
    Example:
      onym backup /backups/onym.tar --passphrase-file passphrase.txt
    """
    if without_keys and passphrase_file:
        raise click.UsageError("--without-keys and --passphrase-file exclude one another")
    if file.exists() and not force:
        raise Malformed(f"{file} exists; choose another name, or replace it with --force")
    passphrase = None if without_keys else _passphrase(passphrase_file)
    made = write(file.absolute(), keys=not without_keys, passphrase=passphrase)
    facts = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "files": len(made.files),
        "keys": made.keys,
        "leaves": made.log.get("size", 0),
        "id": made.id,
    }
    click.echo(json.dumps(facts) if as_json else _told(facts))


command.params.append(commands.data_option())


def _told(facts: dict[str, object]) -> str:
    keys = {
        "plain": "The keys are in it, in clear: keep it as safe as DATA itself.",
        "sealed": "The keys are in it, sealed: keep the passphrase elsewhere.",
        "apart": "The keys are not in it: keep DATA/keys elsewhere, nothing can be read without.",
    }
    return (
        f"{facts['file']}: {facts['bytes']:,} bytes, {facts['files']} files, "
        f"{facts['leaves']} leaves\n{keys[str(facts['keys'])]}"
    )


def _passphrase(file: Path | None) -> str | None:
    if file is None:
        return None
    words = (file.read_text().splitlines() or [""])[0]
    if len(words) < 12:
        raise Malformed(f"{file}: a passphrase has twelve characters or more")
    return words


def write(file: Path, *, keys: bool, passphrase: str | None) -> archive.Manifest:
    """Make the backup beside FILE, and give it that name when all of it is on disk."""
    data_dir = embedded.data_directory()
    with _near(data_dir) as links, _alone(file) as aside, database.reached() as url:
        log = _link_log(data_dir, links)
        folder, tool = dump.programs(dump.version(url))
        dump.take(url, folder=folder, into=aside / archive.DATABASE)
        with archive.writing(aside / "file") as into:
            into.file(archive.DATABASE, aside / archive.DATABASE)
            for path in sorted(_files(links)):
                into.file(f"log/{path.relative_to(links)}", path)
            _add(into, data_dir, "namespaces")
            how = _add_keys(into, data_dir, passphrase) if keys else "apart"
            made = _manifest(url, tool=tool, keys=how, log=log, files=into.files)
            into.data(archive.MANIFEST, made.encode())
        (aside / "file").replace(file)
        integrator.sync_folder(file.parent)
    return made


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """A folder beside FILE, one backup at a time; what a killed one left is cleared away."""
    aside = file.with_name(f".{file.name}.part")
    aside.mkdir(mode=0o700, exist_ok=True)
    with _locked(aside / "lock", f"another backup to {file} is being made"):
        for left in aside.iterdir():
            if left.name != "lock":
                _remove(left)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _link_log(data_dir: Path, links: Path) -> dict[str, object]:
    """The log's files as of one checkpoint, linked while its writer waits; what they say.

    Files of the log are replaced, never changed, so that a link keeps what it was made of.
    """
    source = data_dir / "log"
    if not (source / tiles.CHECKPOINT).exists():
        return {}
    with (source / ".lock").open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        for path in _files(source):
            target = links / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    head = checkpoint.Checkpoint.parse((links / tiles.CHECKPOINT).read_bytes())
    return {"origin": head.origin, "size": head.size, "root": head.root.hex()}


@contextmanager
def _near(data_dir: Path) -> Iterator[Path]:
    """A folder on the log's own disk, as hard links do not reach further; one backup at a time, for
    what a killed one left is cleared away.
    """
    run = data_dir / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(run / "backup.lock", f"another backup of {data_dir} is being made"):
        for left in run.glob("backup-*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="backup-", dir=run))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(file: Path, otherwise: str) -> Iterator[None]:
    """Refuses `in_progress` while another process has it."""
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InProgress(otherwise) from None
        yield


def _files(folder: Path) -> Iterator[Path]:
    """Every file below, hidden ones and those being written apart."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith(".progress"):
                yield Path(place) / name


def _add(into: archive.Writer, data_dir: Path, folder: str) -> None:
    for path in sorted(_files(data_dir / folder)):
        with contextlib.suppress(FileNotFoundError):  # made and thrown away since
            into.file(str(path.relative_to(data_dir)), path)


def _add_keys(into: archive.Writer, data_dir: Path, passphrase: str | None) -> str:
    found = [p for p in _files(data_dir / "keys") if p.name not in LOCAL_KEYS]
    settings = settings_file.path(data_dir)
    found += [settings] if settings.exists() else []
    if passphrase is None:
        for path in sorted(found):
            into.file(str(path.relative_to(data_dir)), path)
        return "plain"
    contents = {str(path.relative_to(data_dir)): path.read_bytes() for path in sorted(found)}
    into.data(archive.SEALED, archive.seal(contents, passphrase))
    return "sealed"


def _manifest(
    url: str,
    *,
    tool: int,
    keys: str,
    log: dict[str, object],
    files: dict[str, tuple[int, str]],
) -> archive.Manifest:
    return archive.Manifest(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        onym=metadata.version("onym"),
        postgres=dump.version(url),
        tool=tool,
        migrations=applied(url),
        data=str(embedded.data_directory()),
        keys=keys,
        log=log,
        files=dict(files),
        sealed_under=keyring.mark(keyring.field_key(embedded.data_directory())),
    )


def applied(url: str) -> list[str]:
    """The migrations that this database has; none when it has no tables yet."""
    with psycopg.connect(url) as link:
        known = link.execute("select to_regclass('public.django_migrations')").fetchone()
        if not known or known[0] is None:
            return []
        rows = link.execute("select app || '.' || name from django_migrations order by 1")
        return [str(row[0]) for row in rows]
