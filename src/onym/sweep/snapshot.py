"""Writing snapshots: an account table or a sweep's findings, sorted, with look-ups and root.

This side needs the engine; `directory` and `stock` read what it writes and need none.
"""

# ruff: noqa: S608 (every name in these statements is ours)

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from onym.core import errors, names
from onym.sweep import blocks, directory, stock
from onym.sweep.accounts import Accounts, open_accounts
from onym.sweep.columns import COLUMNS
from onym.sweep.directory import Seal, Snapshot
from onym.sweep.source import file_name, quote, reading, working
from onym.sweep.stage import Progress
from onym.sweep.stock import Stock

FETCHED = 50_000  # rows taken from the engine at a time
READ = 1 << 20
REJECTS = "rejects.csv"
SCRATCH = ".import-"
MEMORY = "1GB"  # what the engine may hold; beyond it, it works on the disk
SWEEP = "manifest.json"  # what a sweep leaves beside its findings
_NO_FINDINGS = (
    "SELECT '' AS canonical, '' AS account_id, '' AS verdict, "
    "CAST([] AS VARCHAR[]) AS reasons WHERE false"
)

_SHOWN = [name for name in COLUMNS if name != "email"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of account tables: the snapshot, refused rows by reason, source columns that
    nothing reads, and columns that no file had."""

    snapshot: Snapshot
    rejects: Mapping[str, int]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]


def import_accounts(
    inputs: Sequence[Path],
    folder: Path,
    *,
    mapping: Mapping[str, str],
    profile: str | None,
    seal: Seal | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Read account tables and write them as the snapshot `folder`, in one go and bounded memory.

    Arguments and refusals are those of `accounts.open_accounts` and `write_snapshot`; `progress`
    counts each row twice, once read and once written. Refuses `in_progress` while another import
    beside `folder` runs; what a killed one left there is removed, it holds addresses in clear.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        _alone(folder.parent),
        TemporaryDirectory(prefix=SCRATCH, dir=folder.parent) as scratch,
        duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": scratch}) as con,
        open_accounts(
            con,
            inputs,
            mapping=mapping,
            profile=profile,
            scratch=Path(scratch),
            progress=_scaled(progress),
        ) as found,
    ):
        made = write_snapshot(found, folder, seal=seal, progress=progress)
        return Imported(
            snapshot=made, rejects=found.rejects, ignored=found.ignored, missing=found.missing
        )


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    with (parent / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise errors.InProgress(f"{parent}: another import is running") from error
        for stale in [*parent.glob(f"{SCRATCH}*"), *parent.glob(".*.part")]:
            shutil.rmtree(stale)
        yield


def _scaled(progress: Progress | None) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(done, total and 2 * total)


def write_snapshot(
    accounts: Accounts,
    folder: Path,
    *,
    seal: Seal | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Write `accounts` as the snapshot `folder`: under another name first, then renamed.

    Equal accounts make equal files, contacts apart. Mail addresses are written through `seal` to
    a file of their own, and without it not at all; refused rows are listed in REJECTS. Refuses
    `malformed` a table without a row and a folder that is there already; then nothing is left.
    """
    if accounts.rows == 0:
        raise errors.Malformed(
            "no row of the account table could be accepted", rejects=dict(accounts.rejects)
        )
    with _whole(folder) as part:
        _write_files(accounts, part, seal, progress)
    return directory.read_manifest(folder)


def write_stock(
    con: duckdb.DuckDBPyConnection, sweep: Path, folder: Path, *, first: Collection[str] = ()
) -> Stock:
    """Write the findings of a sweep (the folder of its manifest.json) as the stock `folder`.

    The canonical handles `first` are put into bucket 0. Refuses `malformed` a sweep whose files
    are not those of its manifest, and a handle that was found twice.
    """
    manifest = _sweep_manifest(sweep)
    files = ", ".join(file_name(sweep / each["file"]) for each in manifest["partitions"])
    table = f"read_parquet([{files}])" if files else f"({_NO_FINDINGS})"
    with reading(str(sweep)), _whole(folder) as part:
        _refuse_found_twice(con, sweep, table)
        rows = blocks.write(part / stock.BUCKETS, _findings(con, table, first))
        row = _pair("canonical", "account_id")
        keys = _rows(con, f"SELECT {row} AS row FROM {table} ORDER BY row")
        blocks.write(part / stock.HANDLES, keys)
        counted = con.execute(f"SELECT verdict, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
        facts = {
            "format": stock.FORMAT,
            "rows": rows,
            "verdicts": dict(counted.fetchall()),
            "reasons": _reasons(con, table),
            "first": sorted(first),
            "sweep": manifest,
        }
        _write_json(part / stock.MANIFEST, facts)
    return stock.Stock(folder)


def _reasons(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, dict[str, int]]:
    """How many findings of each verdict give each reason; one finding may give several."""
    given = f"SELECT verdict, unnest(reasons) AS reason FROM {table}"
    counted = con.execute(
        f"SELECT verdict, reason, count(*) FROM ({given}) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found: dict[str, dict[str, int]] = {}
    for verdict, reason, count in counted.fetchall():
        found.setdefault(verdict, {})[reason] = count
    return found


def _sweep_manifest(sweep: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((sweep / SWEEP).read_bytes())
        for each in manifest["partitions"]:
            if _sha256(sweep / each["file"]) != each["sha256"]:
                raise errors.Malformed(f"{sweep / each['file']}: not the file that was swept")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.Malformed(f"{sweep}: no whole sweep lies there") from error
    return manifest


def _refuse_found_twice(con: duckdb.DuckDBPyConnection, sweep: Path, table: str) -> None:
    doubles = f"SELECT canonical FROM {table} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    for (canonical,) in con.execute(doubles).fetchall():
        raise errors.Malformed(f"{sweep}: {canonical!r} was found twice")


def _findings(
    con: duckdb.DuckDBPyConnection, table: str, first: Collection[str]
) -> Iterator[bytes]:
    """Findings by bucket, then by handle; the bucket is `stock.bucket` in SQL."""
    described = con.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    facts = _object({row[0]: _json(row[0], instant="TIMESTAMP" in row[1]) for row in described})
    at_first = "".join(f" WHEN canonical = {quote(handle)} THEN 0" for handle in sorted(first))
    hashed = f"CAST('0x' || left(sha256(canonical), 15) AS BIGINT) % {stock.BUCKET_COUNT}"
    bucket = f"CASE{at_first} ELSE {hashed} END" if first else hashed
    key = f"'[\"' || lpad(CAST({bucket} AS VARCHAR), 4, '0') || '\",' || {_plain('canonical')}"
    row = f"{key} || ',' || {_plain('account_id')} || ']' || chr(9) || {facts}"
    return _rows(con, f"SELECT {row} AS row FROM {table} ORDER BY row")


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes `folder` at the end of the block, or nothing at all."""
    if folder.exists():
        raise errors.Malformed(f"{folder}: a snapshot lies there already; snapshots never change")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed writer left
    try:
        part.mkdir(parents=True, mode=0o700)
        yield part
        _sync(part)
        os.replace(part, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _why(accounts: Accounts) -> dict[str, object]:
    return {"rejects": dict(accounts.rejects)}


def _write_files(
    accounts: Accounts, folder: Path, seal: Seal | None, progress: Progress | None
) -> None:
    with working():
        _write_table(accounts, folder / directory.TABLE)
        rows = _counted(_by_handle(accounts, folder), accounts.rows, progress)
        blocks.write(folder / directory.HANDLES, rows, tree=True)
        blocks.write(folder / directory.IDS, _by_account(accounts))
        if seal is not None and "email" not in accounts.missing:
            blocks.write(folder / directory.CONTACTS, _contacts(accounts), seal=seal)
    if accounts.rejects:
        accounts.write_rejects(folder / REJECTS)
    equal = (directory.TABLE, directory.HANDLES, directory.IDS)
    facts = {
        "format": directory.FORMAT,
        "profile": accounts.profile,
        "unicode": names.UNICODE_VERSION,
        "rows": accounts.rows,
        "root": blocks.Blocks(folder / directory.HANDLES).root().hex(),
        "missing": [name for name in COLUMNS if name in accounts.missing or name == "email"],
        "files": {name: _sha256(folder / name) for name in equal},
    }
    _sync(folder / directory.TABLE)
    _write_json(folder / directory.MANIFEST, facts)


def _counted(rows: Iterator[bytes], total: int, progress: Progress | None) -> Iterator[bytes]:
    for number, row in enumerate(rows, start=1):
        yield row
        if progress and (number % FETCHED == 0 or number == total):
            progress(total + number, 2 * total)


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    _sync(path)


def _write_table(accounts: Accounts, path: Path) -> None:
    accounts.con.execute(
        f"COPY (SELECT {', '.join(_SHOWN)}, canonical FROM {accounts.table}"
        f" ORDER BY {_pair('canonical', 'account_id')}) TO ? (FORMAT PARQUET, COMPRESSION ZSTD)",
        [str(path)],
    ).fetchall()


def _by_handle(accounts: Accounts, folder: Path) -> Iterator[bytes]:
    # The table just written is sorted already, and the engine keeps a file's order.
    facts = _object(
        {name: _json(name, instant=_is_instant(name)) for name in [*_SHOWN, "canonical"]}
    )
    table = f"read_parquet({file_name(folder / directory.TABLE)})"
    row = f"{_pair('canonical', 'account_id')} || chr(9) || {facts}"
    return _rows(accounts.con, f"SELECT {row} FROM {table}")


def _by_account(accounts: Accounts) -> Iterator[bytes]:
    row = _pair("account_id", "canonical")
    return _rows(accounts.con, f"SELECT {row} AS row FROM {accounts.table} ORDER BY row")


def _contacts(accounts: Accounts) -> Iterator[bytes]:
    row = f"{_pair('account_id', 'canonical')} || chr(9) || {_json('email')}"
    found = f"SELECT {row} AS row FROM {accounts.table} WHERE email IS NOT NULL ORDER BY row"
    return _rows(accounts.con, found)


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[bytes]:
    """The first column of a query, as it streams."""
    for batch in con.sql(query).to_arrow_reader(FETCHED):
        for row in batch.column(0).to_pylist():
            yield row.encode()


def _pair(first: str, second: str) -> str:
    """`core.events.directory_row` in SQL; neither column holds a control character."""
    return f"'[' || {_plain(first)} || ',' || {_plain(second)} || ']'"


def _plain(name: str) -> str:
    escaped = f"replace(replace({name}, '\\', '\\\\'), '\"', '\\\"')"
    return f"'\"' || {escaped} || '\"'"


def _json(name: str, *, instant: bool = False) -> str:
    if instant:
        return f"'\"' || strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') || '\"'"
    return f"CAST(to_json({name}) AS VARCHAR)"


def _object(values: Mapping[str, str]) -> str:
    """A JSON object as text, without what is NULL."""
    members = ", ".join(f"'\"{name}\":' || {value}" for name, value in values.items())
    return f"'{{' || concat_ws(',', {members}) || '}}'"


def _is_instant(name: str) -> bool:
    return COLUMNS.get(name) == "instant"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
