"""The directory: who holds which handle, as one immutable, sorted snapshot of an account table.

A snapshot is a folder with Parquet for sweeps, blocks for look-ups and a manifest that is written
last (docs/reference/account-table.md). Reading one needs no engine.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from onym.core import errors, events
from onym.sweep import blocks
from onym.sweep.columns import COLUMNS

FORMAT = "onym-directory/1"
MANIFEST, TABLE = "snapshot.json", "accounts.parquet"
HANDLES, IDS, CONTACTS = "by_handle.blocks", "by_account.blocks", "contacts.blocks"
KEPT_OPEN = 4  # snapshots that a process keeps open, so that a new import does not close one in use

Row = dict[str, Any]
Seal = Callable[[bytes], bytes]

_INSTANTS = [name for name, kind in COLUMNS.items() if kind == "instant"]
_UNKNOWN = dict.fromkeys([name for name in COLUMNS if name != "email"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A written snapshot: `root` is the Merkle root (hex) over the rows `[handle, account_id]`,
    `sha256` that of the Parquet file, `files` that of every file which equal accounts make equal;
    `missing` are the columns that the snapshot knows nothing of.
    """

    path: Path
    profile: str
    rows: int
    root: str
    sha256: str
    files: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionPath:
    """Where a row stands under a directory's root, and the hashes that show it."""

    index: int
    size: int
    hashes: list[bytes]


def read_manifest(folder: Path) -> Snapshot:
    """The snapshot in `folder`. Refuses `malformed` a folder that holds none, or half of one."""
    try:
        facts = json.loads((folder / MANIFEST).read_bytes())
        if facts["format"] != FORMAT:
            raise errors.Malformed(f"{folder}: a snapshot of another format, {facts['format']}")
        return Snapshot(
            path=folder,
            profile=facts["profile"],
            rows=facts["rows"],
            root=facts["root"],
            sha256=facts["files"][TABLE],
            files=facts["files"],
            missing=tuple(facts["missing"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.Malformed(f"{folder}: no directory snapshot lies there") from error


class Directory:
    """A snapshot, open for look-ups; handles are canonical. Threads may share it.

    Rows hold every column of an account table but `email` (None: unknown; instants in UTC), and
    `canonical` and `display`. `open_` undoes the seal of the contacts.
    """

    def __init__(self, folder: Path, *, open_: Seal | None = None) -> None:
        self.snapshot = read_manifest(folder)
        self._handles = blocks.Blocks(folder / HANDLES)
        self._ids = blocks.Blocks(folder / IDS)
        sealed = open_ is not None and (folder / CONTACTS).exists()
        self._contacts = blocks.Blocks(folder / CONTACTS, open_=open_) if sealed else None

    def by_handle(self, canonical: str) -> Row | None:
        """The account that holds the handle, or None."""
        found = self._handles.find(_key(canonical))
        return _row(found[1]) if found else None

    def by_account(self, account_id: str) -> Row | None:
        """The account, or None."""
        found = self._ids.find(_key(account_id))
        return self.by_handle(json.loads(found[1])[1]) if found else None

    def prefix(self, canonical: str, *, after: str | None = None, limit: int = 50) -> list[Row]:
        """Accounts whose handle begins with `canonical`, in order, those after `after` only."""
        start = _key(canonical)[:-2]  # without the closing quote and the comma
        place = self._handles.place(start if after is None else max(start, _key(after)))
        rows: list[Row] = []
        for _, row in self._handles.rows_from(place):
            if len(rows) >= limit or not row.startswith(start):
                break
            if after is None or not row.startswith(_key(after)):
                rows.append(_row(row))
        return rows

    def path(self, canonical: str) -> InclusionPath | None:
        """The path of the handle's row in the snapshot's root, or None."""
        found = self._handles.find(_key(canonical))
        if found is None:
            return None
        place, size = found[0], self._handles.rows
        return InclusionPath(index=place, size=size, hashes=self._handles.path(place))

    def email(self, account_id: str) -> str | None:
        """The account's address, if the table had one and this directory may open contacts."""
        found = self._contacts.find(_key(account_id)) if self._contacts else None
        return str(json.loads(found[1].partition(b"\t")[2])) if found else None


@functools.lru_cache(maxsize=KEPT_OPEN)
def cached(folder: Path, open_: Seal | None = None) -> Directory:
    """The same open directory for every caller in this process: snapshots never change."""
    return Directory(folder, open_=open_)


def _key(value: str) -> bytes:
    """How the row of a handle (or of an account id) begins, in canonical JSON."""
    return events.directory_row(value, "").removesuffix(b'""]')


def _row(row: bytes) -> Row:
    facts: Row = _UNKNOWN | json.loads(row.partition(b"\t")[2])
    for name in _INSTANTS:
        if facts[name] is not None:
            facts[name] = datetime.fromisoformat(facts[name])
    facts["display"] = facts["handle"]
    return facts
