"""What a sweep leaves behind: sorted findings in partitions, and the manifest that describes them.

Equal accounts under an equal policy give equal files; docs/guides/sweep.md spells out the bytes
that are hashed, so that anybody can recompute a digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it ships no types

from onym.core.policy import Outcome
from onym.sweep.describe import Describe
from onym.tlog import merkle

MANIFEST = "manifest.json"
PARTITION_ROWS = 1_000_000

FINDINGS = pa.schema(
    {
        "handle": pa.string(),
        "canonical": pa.string(),
        "account_id": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "idle_days": pa.int64(),
        "deadline_at": pa.timestamp("us", "UTC"),
        "tier": pa.string(),
        "appraisal_mid_minor": pa.int64(),
        "resting_days": pa.int64(),
    }
)
"""The columns of a partition, in order."""


@dataclass(slots=True)
class File:
    """A file beside the findings."""

    file: str
    rows: int
    sha256: str


@dataclass(slots=True)
class Written(File):
    """A finished partition; `digest` is over its canonical rows, `root` their Merkle root."""

    digest: str
    root: str


@dataclass(slots=True)
class Findings:
    """All partitions, and the findings counted by verdict."""

    partitions: list[Written] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)


def write(
    folder: Path,
    batches: Iterable[pa.RecordBatch],
    *,
    describe: Describe | None = None,
    partition_rows: int = PARTITION_ROWS,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Write sorted `batches` (of an engine) to files findings-0000.parquet, … in `folder`.

    Each holds `partition_rows` rows, the last one fewer; there is always one. `progress` is told
    the rows written so far.
    """
    findings = Findings()
    done = 0
    for number, rows in enumerate(_cut(batches, partition_rows)):
        path = folder / f"findings-{number:04}.parquet"
        findings.partitions.append(_write(path, rows, describe, findings.verdicts))
        done += findings.partitions[-1].rows
        if progress:
            progress(done)
    return findings


def count(batches: Iterable[pa.RecordBatch]) -> Counter[str]:
    """The findings by verdict, for a dry run."""
    verdicts: Counter[str] = Counter()
    for batch in batches:
        _count(verdicts, batch)
    return verdicts


def _count(verdicts: Counter[str], batch: pa.RecordBatch) -> None:
    for item in batch.column("verdict").value_counts().to_pylist():
        verdicts[item["values"]] += item["counts"]


def _cut(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """`batches` in runs of `size` rows; each run is to be used up before the next is asked for."""
    source = _Source(iter(batches))
    yield source.take(size)
    while source.more():
        yield source.take(size)


class _Source:
    """Batches with a rest that was read but not yet taken."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def more(self) -> bool:
        while self._rest is None or not self._rest.num_rows:
            self._rest = next(self._batches, None)
            if self._rest is None:
                return False
        return True

    def take(self, wanted: int) -> Iterator[pa.RecordBatch]:
        while wanted and self.more():
            assert self._rest is not None  # noqa: S101 - more() has just seen to it
            part, self._rest = self._rest.slice(0, wanted), self._rest.slice(wanted)
            wanted -= part.num_rows
            yield part


def _write(
    path: Path,
    batches: Iterable[pa.RecordBatch],
    describe: Describe | None,
    verdicts: Counter[str],
) -> Written:
    digest, tree, rows = hashlib.sha256(), _Tree(), 0
    with pq.ParquetWriter(path, FINDINGS, compression="zstd") as writer:
        for batch in batches:
            full = _described(batch, describe)
            writer.write_batch(full)
            lines = canonical_rows(full)
            digest.update(_joined(lines))
            tree.add(lines.to_pylist())
            rows += full.num_rows
            _count(verdicts, full)
    return Written(path.name, rows, sha256_of(path), digest.hexdigest(), tree.root().hex())


class _Tree:
    """The Merkle tree over rows, folded level by level in blocks of 2^16 leaves: hashing one row
    after the other through a frontier takes longer than all the rest of a sweep."""

    BLOCK = 2**16 * merkle.HASH_BYTES

    def __init__(self) -> None:
        self._blocks = merkle.Frontier()
        self._leaves = bytearray()

    def add(self, rows: Sequence[str]) -> None:
        sha256 = hashlib.sha256
        self._leaves += b"".join([sha256(b"\0" + row.encode()).digest() for row in rows])
        while len(self._leaves) >= self.BLOCK:
            row = bytes(self._leaves[: self.BLOCK])
            del self._leaves[: self.BLOCK]
            while len(row) > merkle.HASH_BYTES:
                row = merkle.fold(row)
            self._blocks = merkle.extend(self._blocks, [row])

    def root(self) -> bytes:
        """Blocks are complete subtrees, and so are the peaks of the leaves that follow them."""
        size, rest = merkle.HASH_BYTES, bytes(self._leaves)
        last = merkle.extend(
            merkle.Frontier(), (rest[i : i + size] for i in range(0, len(rest), size))
        )
        count = self._blocks.size * 2**16 + last.size
        return merkle.Frontier(count, self._blocks.peaks + last.peaks).root()


def _described(batch: pa.RecordBatch, describe: Describe | None) -> pa.RecordBatch:
    """The batch with what `describe` says of each handle; without it, unappraised."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    found = describe(batch) if describe else []
    columns["appraisal_mid_minor"] = pa.nulls(batch.num_rows, pa.int64())
    if describe:
        columns["appraisal_mid_minor"] = pa.array([one.mid_minor for one in found], pa.int64())
        columns["tier"] = pa.array([one.tier for one in found], pa.string())
    return pa.RecordBatch.from_arrays([columns[f.name] for f in FINDINGS], schema=FINDINGS)


def canonical_rows(batch: pa.RecordBatch) -> pa.StringArray:
    """The text of each row that is hashed: its columns in the order of FINDINGS, tabs between.

    Reasons are joined by commas, instants are RFC 3339 in UTC with six decimals, an unknown value
    is empty. No column can hold a tab, a comma where it matters, or a line feed.
    """
    texts = [_text(batch.column(each.name), each.type) for each in FINDINGS]
    return pc.binary_join_element_wise(*texts, "\t", null_handling="replace", null_replacement="")


def _text(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind):
        return pc.binary_join(column, ",")
    if pa.types.is_timestamp(kind):
        encoded = column.dictionary_encode()  # a sweep has one deadline or two
        return pc.strftime(encoded.dictionary, format="%Y-%m-%dT%H:%M:%SZ").take(encoded.indices)
    return column.cast(pa.string())


def _joined(lines: pa.StringArray) -> memoryview:
    """Every line with a line feed after it: an array of texts holds them one after another."""
    ended = pc.binary_join_element_wise(lines, "", "\n")
    _, offsets, data = ended.buffers()
    ends = memoryview(offsets).cast("i")[ended.offset : ended.offset + len(ended) + 1]
    return memoryview(data or b"")[ends[0] : ends[-1]]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verdicts_of(findings: Mapping[str, int], rows: int) -> dict[str, int]:
    """Every verdict with its count; what is no finding was kept."""
    told = {outcome.value: findings.get(outcome.value, 0) for outcome in Outcome}
    told[Outcome.KEEP.value] = rows - sum(findings.values())
    return told


# The folder


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder to write to; what is in it moves to `out` when the block ends well.

    Files of an earlier sweep in `out` go, the manifest first; the new one comes last. A fault in
    the block changes nothing in `out`; one while files move leaves no manifest there.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    made = not out.exists()
    out.mkdir(exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".sweep-", dir=out))
    done = False
    try:
        yield stage
        _publish(stage, out)
        done = True
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made and not done:
            out.rmdir()


def _publish(stage: Path, out: Path) -> None:
    _sync(stage)
    (out / MANIFEST).unlink(missing_ok=True)
    for stale in (
        *out.glob("findings-*.parquet"),
        *out.glob("rejects.csv"),
        *out.glob("look_alikes.parquet"),
    ):
        stale.unlink()
    for path in sorted(stage.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
        os.replace(path, out / path.name)
    _sync_folder(out)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(folder: Path, body: Mapping[str, Any]) -> None:
    """The manifest, in `folder`."""
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
