"""The stock: a sweep's findings as a snapshot, in an order that cuts it into waves.

A handle's bucket is a pure function of the handle, so the first hundredth of the stock is the
same handles for everybody who computes it (docs/reference/account-table.md).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from onym.core import errors, events
from onym.sweep import blocks
from onym.tlog import merkle

FORMAT = "onym-stock/1"
MANIFEST = "stock.json"
BUCKETS, HANDLES = "by_bucket.blocks", "by_handle.blocks"
BUCKET_COUNT = 10_000
KEPT_OPEN = 4

Finding = dict[str, Any]


def bucket(canonical: str) -> int:
    """0 to 9999: the first 60 bits of the handle's SHA-256, modulo 10,000."""
    return int(hashlib.sha256(canonical.encode()).hexdigest()[:15], 16) % BUCKET_COUNT


class Stock:
    """Findings, open for look-ups; handles are canonical. Threads may share it.

    A finding has the columns of the sweep's findings, instants in UTC; what the sweep left open
    is None. `counts` counts findings by verdict, `reasons` by verdict and reason
    (empty in a stock of before they were counted), `sweep` is the sweep's manifest. Refuses
    `malformed` a folder that holds no stock.
    """

    def __init__(self, folder: Path) -> None:
        try:
            facts = json.loads((folder / MANIFEST).read_bytes())
            if facts["format"] != FORMAT:
                raise errors.Malformed(f"{folder}: a stock of another format, {facts['format']}")
            self.path = folder
            self.rows: int = facts["rows"]
            self.counts: Mapping[str, int] = facts["verdicts"]
            self.reasons: Mapping[str, Mapping[str, int]] = facts.get("reasons", {})
            self.sweep: Mapping[str, Any] = facts["sweep"]
            self._first = frozenset(facts["first"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise errors.Malformed(f"{folder}: no stock lies there") from error
        self._findings = blocks.Blocks(folder / BUCKETS)
        self._handles = blocks.Blocks(folder / HANDLES)

    def bucket(self, canonical: str) -> int:
        """The handle's bucket in this stock: 0 where it was put first."""
        return 0 if canonical in self._first else bucket(canonical)

    def finding(self, canonical: str) -> Finding | None:
        """What the sweep found, or None: the account is kept, or there is none."""
        found = self._findings.find(_key(self.bucket(canonical), canonical))
        return _finding(found[1]) if found else None

    def slice(self, low: int, high: int, *, after: str | None = None) -> Iterator[Finding]:
        """Findings of the buckets from `low` up to, not including, `high`, in order of bucket and
        handle; with `after`, a handle of the slice, those that follow it."""
        start = None if after is None else _key(self.bucket(after), after)
        place = self._findings.place(start or _key(low))
        for _, row in self._findings.rows_from(place):
            if row >= _key(high):
                return
            if start is None or not row.startswith(start):
                yield _finding(row)

    def count(self, low: int, high: int) -> int:
        """How many findings a slice has, without reading it."""
        return self._findings.place(_key(high)) - self._findings.place(_key(low))

    def root(self, low: int, high: int) -> bytes:
        """The Merkle root over a slice's rows `[bucket, handle, account_id]`, as they stand."""
        place, count = self._findings.place(_key(low)), self.count(low, high)
        rows = self._findings.rows_from(place)
        return merkle.root_of_rows(blocks.key_of(next(rows)[1]) for _ in range(count))

    def prefix(self, canonical: str, *, after: str | None = None, limit: int = 50) -> list[Finding]:
        """Findings whose handle begins with `canonical`, in order, those after `after` only."""
        start = _quoted(canonical)[:-1]
        behind = None if after is None else _quoted(after) + b","
        found: list[Finding] = []
        for _, row in self._handles.rows_from(self._handles.place(max(start, behind or b""))):
            if len(found) >= limit or not row.startswith(start):
                break
            if behind is None or not row.startswith(behind):
                found.append(self.finding(json.loads(row)[0]) or {})
        return found


@functools.lru_cache(maxsize=KEPT_OPEN)
def cached(folder: Path) -> Stock:
    """The same open stock for every caller in this process: snapshots never change."""
    return Stock(folder)


def _quoted(canonical: str) -> bytes:
    return events.canonical([canonical])[:-1]


def _key(bucket: int, canonical: str | None = None) -> bytes:
    """How the row of a bucket, or of one handle in it, begins; four digits, so 9999 is the last."""
    start = b'["%04d",' % bucket if bucket < BUCKET_COUNT else b'["~'
    return start if canonical is None else start + _quoted(canonical)[1:] + b","


def _finding(row: bytes) -> Finding:
    facts: Finding = _UNKNOWN | json.loads(row.partition(b"\t")[2])
    if facts["deadline_at"] is not None:
        facts["deadline_at"] = datetime.fromisoformat(facts["deadline_at"])
    return facts


_UNKNOWN = dict.fromkeys(
    (
        "handle",
        "canonical",
        "account_id",
        "verdict",
        "reasons",
        "idle_days",
        "deadline_at",
        "tier",
        "appraisal_mid_minor",
        "resting_days",
    )
)
