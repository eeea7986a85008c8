"""`onym restore FILE`: all of a backup or nothing, into an empty place or, with --force, another.

Everything is unpacked and checked beside DATA's files first. The database is replaced in one
transaction, the files are then renamed into place; while that is under way a mark in DATA keeps
everything else from starting, and the same command again finishes it. After a restore nothing is
signed until `onym log resume` has looked for a later checkpoint. docs/guides/backup.md.
"""

from __future__ import annotations

import fcntl
import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict

from onym.core.errors import Refusal
from onym.site import archive, database, dump, embedded, keys, restoring, settings_file
from onym.site import command as commands
from onym.store import migrations
from onym.tlog import checkpoint, integrator, tiles


class NotEmpty(Refusal):
    status, code, title = 409, "not_empty", "Something would be overwritten"


class CannotRestore(Refusal):
    status, code, title = 422, "cannot_restore", "This backup cannot be restored here"


@click.command("restore")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Holds the passphrase that the keys are sealed under.",
)
@click.option("--force", is_flag=True, help="Replace what is there; files are set aside.")
@click.option("--check", is_flag=True, help="Only check FILE and say what is in it.")
@click.option("--abandon", is_flag=True, help="Forget a restore that was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    file: str | None,
    passphrase_file: Path | None,
    force: bool,
    check: bool,
    abandon: bool,
    as_json: bool,
) -> None:
    """Read FILE into an empty database and DATA; all of it or nothing.

    \b
    Example:
      onym restore /backups/onym.tar --check
    """
    data_dir = embedded.data_directory()
    if abandon:
        with database.reached() as url:
            restoring.abandon(data_dir, url)
        click.echo(json.dumps({"abandoned": True}) if as_json else "nothing was restored")
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    words = passphrase_file.read_text().splitlines()[:1] if passphrase_file else []
    wish = Wish(Path(file).absolute(), data_dir, words[0] if words else None, force)
    told = looked_at(wish) if check else run(wish)
    facts = {
        "id": told.id,
        "made_at": told.made_at,
        "onym": told.onym,
        "files": len(told.files),
        "keys": told.keys,
        "leaves": told.log.get("size", 0),
        "restored": not check,
        "database": "" if check else _place(data_dir),
    }
    click.echo(json.dumps(facts) if as_json else _told(facts))


command.params.append(commands.data_option())


def _told(facts: dict[str, object]) -> str:
    line = f"backup of {facts['made_at']}: {facts['files']} files, {facts['leaves']} leaves"
    if not facts["restored"]:
        return f"{line}\nIt is whole; nothing was changed."
    return (
        f"{line}\nRestored into {facts['database']}.\n"
        "A drill ends here, or with `onym doctor`: what runs on this deals with the backup's "
        "platform, payment provider and mail server.\n"
        "The log signs nothing yet: run `onym log resume`, then `onym doctor`, "
        "and start Onym after that."
    )


def _place(data_dir: Path) -> str:
    """The database that was restored to, without its password, and how it is reached again."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        return f"the embedded database of {data_dir}; commands with this --data use it"
    parts = conninfo_to_dict(url)
    named = f"database {parts.get('dbname')} at {parts.get('host')}"
    if settings_file.in_(data_dir).get("DATABASE_URL") == url:
        return f"{named}; commands with this --data use it"
    return f"{named}; onym.env does not name it: give DATABASE_URL to each command that follows"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be restored, where."""

    file: Path
    data_dir: Path
    passphrase: str | None
    force: bool


def looked_at(wish: Wish) -> archive.Manifest:
    """Check all of FILE, writing nothing that stays."""
    told = archive.manifest(wish.file)
    with _staged(wish, told):
        return told


def run(wish: Wish) -> archive.Manifest:
    """Restore. Refuses what would be overwritten, what is newer than we are, what still runs."""
    told = archive.manifest(wish.file)
    (wish.data_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    with _stopped(wish.data_dir), _staged(wish, told) as stage, database.reached() as url:
        again = restoring.under_way(wish.data_dir)
        if again and again != told.id:
            raise CannotRestore(
                "another restore was interrupted here: finish it with the same file, or run "
                "`onym restore --abandon`"
            )
        _expect_fits(url, told)
        _expect_alone(url)
        _lead_here(stage)
        moves = _moves(wish, stage)
        if not wish.force and not again:
            _expect_empty(url, moves)
        restoring.begin(wish.data_dir, told.id)
        _hold_log(wish.data_dir, told)
        folder, _ = dump.programs(max(told.tool, dump.version(url)))
        after = restoring.statements(told.id, before=told.data, now=str(wish.data_dir))
        try:
            dump.load(url, folder=folder, dump=stage / archive.DATABASE, after=after)
        except Refusal:
            restoring.abandon(wish.data_dir, url)
            raise
        _move(wish.data_dir, moves)
        restoring.end(wish.data_dir)
    return told


@contextmanager
def _stopped(data_dir: Path) -> Iterator[None]:
    """Not while `onym up` or another restore works on this DATA."""
    with (data_dir / "run" / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRestore(f"Onym runs on {data_dir}: stop it first") from None
        yield


@contextmanager
def _staged(wish: Wish, told: archive.Manifest) -> Iterator[Path]:
    """All of FILE unpacked and checked, on DATA's own disk; gone when this ends."""
    stage = wish.data_dir / "restore.part"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(mode=0o700, parents=True)
    try:
        archive.unpack(wish.file, told, stage)
        if told.keys == "sealed":
            _unseal(stage, wish.passphrase)
        _expect_key(wish, told, stage)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _expect_key(wish: Wish, told: archive.Manifest, stage: Path) -> None:
    """The key that will be used here is the one that sealed what the backup holds."""
    named = os.environ.get("ONYM_FIELD_KEY") or settings_file.in_(stage).get("ONYM_FIELD_KEY")
    key = named or keys.field_key(stage) or keys.field_key(wish.data_dir)
    if not key and told.keys == "apart":
        raise CannotRestore("the backup holds no keys: put yours into DATA/keys first")
    if told.sealed_under and keys.mark(key) != told.sealed_under:
        raise CannotRestore(
            "the field key here is not the one that sealed this backup: put that one into "
            "DATA/keys/field, or give it as ONYM_FIELD_KEY"
        )


def _unseal(stage: Path, passphrase: str | None) -> None:
    if passphrase is None:
        raise archive.PassphraseNeeded("name the passphrase's file with --passphrase-file")
    sealed = stage / archive.SEALED
    for name, data in archive.unseal(sealed.read_bytes(), passphrase).items():
        target = stage / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(data)
    sealed.unlink()


def _lead_here(stage: Path) -> None:
    """The settings name the place that is restored to, or none: whoever reads them next must not
    reach the market that was backed up.
    """
    named = settings_file.in_(stage)
    here = {"DATABASE_URL": os.environ.get("DATABASE_URL", ""), "ONYM_DATA": ""}
    for name, value in here.items():
        if named.get(name, value) != value:
            file = settings_file.path(stage)
            file.write_text(settings_file.changed(file.read_text(), name, value))


def _expect_fits(url: str, told: archive.Manifest) -> None:
    server = dump.version(url)
    if server < told.tool:
        raise CannotRestore(
            f"it was made with PostgreSQL {told.tool}'s pg_dump, and this server is {server}"
        )
    here = Path(migrations.__file__).parent
    known = {f"store.{path.stem}" for path in here.glob("0*.py")}
    newer = [name for name in told.migrations if name.startswith("store.") and name not in known]
    if newer:
        raise CannotRestore(
            f"it was made by a newer Onym ({told.onym}): {newer[-1]} is not known here"
        )


def _expect_alone(url: str) -> None:
    with psycopg.connect(url) as link:
        row = link.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).fetchone()
    if row and row[0]:
        raise CannotRestore(f"{row[0]} other connections use the database: stop Onym first")


def _moves(wish: Wish, stage: Path) -> list[tuple[Path, Path]]:
    """(unpacked file, its place) for all that is not there already as it is in the backup.

    Where the log's public files have gone further than the backup they stay as they are.
    """
    keep_log = _is_further(wish.data_dir / "log", stage / "log")
    found = []
    for path in sorted(stage.rglob("*")):
        name = path.relative_to(stage)
        if not path.is_file() or name.name == archive.DATABASE:
            continue
        if keep_log and name.parts[0] == "log":
            continue
        place = wish.data_dir / name
        if not place.exists() or not filecmp.cmp(place, path, shallow=False):
            found.append((path, place))
    return found


def _is_further(here: Path, there: Path) -> bool:
    """Do the files here continue the log of the backup? Then they are the newer truth."""
    try:
        ours = checkpoint.Checkpoint.parse((here / tiles.CHECKPOINT).read_bytes())
        theirs = checkpoint.Checkpoint.parse((there / tiles.CHECKPOINT).read_bytes())
        same = (here / "key").read_bytes() == (there / "key").read_bytes()
    except (FileNotFoundError, checkpoint.Unverified):
        return False
    return same and ours.size >= theirs.size


def _expect_empty(url: str, moves: list[tuple[Path, Path]]) -> None:
    taken = [place for _, place in moves if place.exists()]
    if taken:
        raise NotEmpty(f"{taken[0]} is another file; --force sets it aside")
    with psycopg.connect(url) as link:
        known = link.execute("select to_regclass('public.store_namespace')").fetchone()
        if not known or known[0] is None:
            return
        row = link.execute("select count(*) from store_namespace").fetchone()
    if row and row[0]:
        raise NotEmpty("the database holds a market; --force replaces it")


def _hold_log(data_dir: Path, told: archive.Manifest) -> None:
    """Nothing is signed from here on until somebody has looked for a later checkpoint: also when
    the backup is older than the first, for the same key may have signed since.
    """
    size = int(str(told.log.get("size", 0)))
    restoring.hold(data_dir / "log", backup=told.made_at, size=size)


def _move(data_dir: Path, moves: list[tuple[Path, Path]]) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    last = sorted(moves, key=lambda pair: pair[1].name == tiles.CHECKPOINT)
    for path, place in last:
        if place.exists():
            kept = data_dir / f"before-restore-{stamp}" / place.relative_to(data_dir)
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(place, kept)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    for folder in {place.parent for _, place in moves}:
        integrator.sync_folder(folder)
