"""What a plan did to many accounts at once, as one immutable Parquet file beside the plan.

A bulk leaf holds the file's SHA-256 and the root over its rows, so each account's part in it can
be shown later (docs/concepts/reclaim.md).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from onym.core import events
from onym.tlog import merkle


class Fate(NamedTuple):
    """One account; `mail` and `platform` tell what became of a notice: sent, bounced, none, …"""

    handle: str
    account_id: str
    mail: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What a leaf says of the file: rows, their Merkle root and the file's SHA-256, both in hex."""

    path: Path
    count: int
    root: str
    sha256: str


def write(path: Path, fates: Iterable[Fate]) -> Written:
    """Write `fates`, sorted by handle, under another name first; a file of that name is replaced.

    The root is the Merkle tree hash over `events.directory_row(handle, account_id)`.
    """
    import pyarrow as pa  # type: ignore[import-untyped]  # 40 MB that a web process never needs
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # as above

    rows = sorted(fates)
    columns = list(zip(*rows, strict=True)) or [() for _ in Fate._fields]
    table = pa.table([pa.array(column, pa.string()) for column in columns], list(Fate._fields))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as out:
        pq.write_table(table, out, compression="zstd")
        out.flush()
        os.fsync(out.fileno())
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    part.replace(path)
    root = merkle.root_of_rows(events.directory_row(row.handle, row.account_id) for row in rows)
    return Written(path, len(rows), root.hex(), digest)


def read(path: Path) -> list[Fate]:
    """The rows of a written file, in order."""
    import pyarrow.parquet as pq

    columns = (column.to_pylist() for column in pq.read_table(path).columns)
    return [Fate(*row) for row in zip(*columns, strict=True)]
