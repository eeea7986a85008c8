"""Writing a directory snapshot: an account table, sorted, with its look-ups and its root."""

# ruff: noqa: S608 (every name in these statements is ours)

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from onym.core import errors, names
from onym.sweep import blocks, directory
from onym.sweep.accounts import Accounts
from onym.sweep.columns import COLUMNS
from onym.sweep.directory import Seal, Snapshot
from onym.sweep.source import file_name, reading

FETCHED = 50_000  # rows taken from the engine at a time
READ = 1 << 20

_SHOWN = [name for name in COLUMNS if name != "email"]


def write_snapshot(accounts: Accounts, folder: Path, *, seal: Seal | None = None) -> Snapshot:
    """Write `accounts` as the snapshot `folder`: under another name first, then renamed.

    Equal accounts make equal files, contacts apart. Mail addresses are written through `seal` to
    a file of their own, and without it not at all. Refuses `malformed` a table without a row and
    a folder that is there already; then nothing is left behind.
    """
    if accounts.rows == 0:
        raise errors.Malformed("no row of the account table could be accepted", **_why(accounts))
    if folder.exists():
        raise errors.Malformed(f"{folder}: a snapshot lies there already; snapshots never change")
    part = folder.with_name(f".{folder.name}.part")
    try:
        part.mkdir(parents=True, mode=0o700)
        _write_files(accounts, part, seal)
        _sync(part)
        os.replace(part, folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise errors.Refusal(f"{folder}: cannot be written ({error.strerror})") from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return directory.read_manifest(folder)


def _why(accounts: Accounts) -> dict[str, object]:
    return {"rejects": dict(accounts.rejects)}


def _write_files(accounts: Accounts, folder: Path, seal: Seal | None) -> None:
    with reading("account table"):
        _write_table(accounts, folder / directory.TABLE)
        blocks.write(folder / directory.HANDLES, _by_handle(accounts, folder), tree=True)
        blocks.write(folder / directory.IDS, _by_account(accounts))
        if seal is not None and "email" not in accounts.missing:
            blocks.write(folder / directory.CONTACTS, _contacts(accounts), seal=seal)
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
    (folder / directory.MANIFEST).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    for name in (directory.TABLE, directory.MANIFEST):
        _sync(folder / name)


def _write_table(accounts: Accounts, path: Path) -> None:
    accounts.con.execute(
        f"COPY (SELECT {', '.join(_SHOWN)}, canonical FROM {accounts.table}"
        f" ORDER BY {_pair('canonical', 'account_id')}) TO ? (FORMAT PARQUET, COMPRESSION ZSTD)",
        [str(path)],
    ).fetchall()


def _by_handle(accounts: Accounts, folder: Path) -> Iterator[bytes]:
    # The table just written is sorted already, and the engine keeps a file's order.
    known = ", ".join(
        f"CASE WHEN {name} IS NOT NULL THEN '\"{name}\":' || {_json(name)} END" for name in _SHOWN
    )
    facts = f"'{{' || concat_ws(',', '\"canonical\":' || {_json('canonical')}, {known}) || '}}'"
    table = f"read_parquet({file_name(folder / directory.TABLE)})"
    return _rows(
        accounts,
        f"SELECT {_pair('canonical', 'account_id')} || chr(9) || {facts} FROM {table}",
    )


def _by_account(accounts: Accounts) -> Iterator[bytes]:
    row = _pair("account_id", "canonical")
    return _rows(accounts, f"SELECT {row} AS row FROM {accounts.table} ORDER BY row")


def _contacts(accounts: Accounts) -> Iterator[bytes]:
    row = f"{_pair('account_id', 'canonical')} || chr(9) || {_json('email')}"
    return _rows(
        accounts,
        f"SELECT {row} AS row FROM {accounts.table} WHERE email IS NOT NULL ORDER BY row",
    )


def _rows(accounts: Accounts, query: str) -> Iterator[bytes]:
    """The first column of a query, as it streams; the engine is free again at its end."""
    cursor = accounts.con.cursor()
    try:
        cursor.execute(query)
        while fetched := cursor.fetchmany(FETCHED):
            for (row,) in fetched:
                yield row.encode()
    finally:
        cursor.close()


def _pair(first: str, second: str) -> str:
    """`core.events.directory_row` in SQL; neither column holds a control character."""
    return f"'[' || {_plain(first)} || ',' || {_plain(second)} || ']'"


def _plain(name: str) -> str:
    escaped = f"replace(replace({name}, '\\', '\\\\'), '\"', '\\\"')"
    return f"'\"' || {escaped} || '\"'"


def _json(name: str) -> str:
    if COLUMNS.get(name) == "instant":
        return f"'\"' || strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') || '\"'"
    return f"CAST(to_json({name}) AS VARCHAR)"


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
