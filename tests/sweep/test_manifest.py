"""Findings on disk: cut into partitions, hashed as documented, complete or not there at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onym.sweep import engines, manifest
from onym.sweep.describe import Described
from onym.tlog import merkle


def batches(count: int, size: int = 3) -> Iterator[pa.RecordBatch]:
    rows = [
        {
            "handle": f"H{i:03}",
            "canonical": f"h{i:03}",
            "account_id": str(i),
            "verdict": "warn" if i % 3 else "protected",
            "reasons": ["idle_login", "idle_post"] if i % 3 else ["minor"],
            "idle_days": i or None,
            "deadline_at": datetime(2026, 1, 31, tzinfo=UTC) if i % 3 else None,
            "tier": "standard",
            "resting_days": 30 if i % 3 else None,
            "followers": i,
            "inbound_refs": None,
        }
        for i in range(count)
    ]
    for start in range(0, count, size):
        part = pa.Table.from_pylist(rows[start : start + size], schema=engines.FINDINGS)
        yield from part.to_batches()


def lines(path: Path) -> list[str]:
    """The canonical rows of a partition, built without the code under test."""
    told = []
    for row in pq.read_table(path).to_pylist():
        row["reasons"] = ",".join(row["reasons"])
        if row["deadline_at"]:
            row["deadline_at"] = row["deadline_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        told.append("\t".join("" if value is None else str(value) for value in row.values()))
    return told


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])]
)
def test_findings_are_cut_into_partitions_of_one_size(
    tmp_path: Path, count: int, sizes: Sequence[int]
) -> None:
    found = manifest.write(tmp_path, batches(count), partition_rows=4)
    assert [part.rows for part in found.partitions] == sizes
    files = [pq.read_table(tmp_path / part.file) for part in found.partitions]
    assert [file.num_rows for file in files] == sizes
    assert pa.concat_tables(files)["account_id"].to_pylist() == [str(i) for i in range(count)]
    assert all(file.schema.equals(manifest.FINDINGS) for file in files)
    assert sum(found.verdicts.values()) == count


def test_digest_and_root_are_those_of_the_canonical_rows(tmp_path: Path) -> None:
    found = manifest.write(tmp_path, batches(10), partition_rows=4)
    for part in found.partitions:
        rows = lines(tmp_path / part.file)
        assert part.digest == hashlib.sha256("".join(f"{r}\n" for r in rows).encode()).hexdigest()
        assert part.root == merkle.root_of_rows(row.encode() for row in rows).hex()
        assert part.sha256 == hashlib.sha256((tmp_path / part.file).read_bytes()).hexdigest()
    assert rows[-1] == "H009\th009\t9\tprotected\tminor\t9\t\tstandard\t\t"
    assert lines(tmp_path / "findings-0000.parquet")[1] == (
        "H001\th001\t1\twarn\tidle_login,idle_post\t1\t2026-01-31T00:00:00.000000Z\tstandard\t\t30"
    )


@pytest.mark.parametrize("count", [0, 1, 2**16 - 1, 2**16, 2**16 + 1, 3 * 2**16 + 12_345])
def test_the_root_is_that_of_the_whole_tree_however_large(tmp_path: Path, count: int) -> None:
    (row,) = next(batches(1)).to_pylist()
    numbers = [str(i) for i in range(count)]
    whole = pa.table(
        {
            name: pa.array([value] * count, engines.FINDINGS.field(name).type)
            for name, value in row.items()
        }
    ).set_column(2, "account_id", pa.array(numbers, pa.string()))
    (part,) = manifest.write(tmp_path, whole.to_batches(max_chunksize=50_000)).partitions
    lines = (f"H000\th000\t{n}\tprotected\tminor\t\t\tstandard\t\t" for n in numbers)
    assert part.root == merkle.root_of_rows(line.encode() for line in lines).hex()


def test_files_depend_on_the_rows_and_not_on_how_they_arrive(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir()
    first = manifest.write(one, batches(50, 7), partition_rows=20)
    second = manifest.write(other, batches(50, 7), partition_rows=20)
    third = manifest.write(tmp_path, batches(50, 50), partition_rows=20)
    assert first == second
    for part in first.partitions:
        assert (one / part.file).read_bytes() == (other / part.file).read_bytes()
    assert [p.digest for p in third.partitions] == [p.digest for p in first.partitions]
    assert [p.root for p in third.partitions] == [p.root for p in first.partitions]


def test_a_described_finding_has_its_appraisal_and_its_tier(tmp_path: Path) -> None:
    def describe(batch: pa.RecordBatch) -> list[Described]:
        return [Described(n, "rare") for n in batch.column("followers").to_pylist()]

    manifest.write(tmp_path, batches(5), describe=describe)
    rows = pq.read_table(tmp_path / "findings-0000.parquet").to_pylist()
    assert [(row["appraisal_mid_minor"], row["tier"]) for row in rows] == [
        (n, "rare") for n in range(5)
    ]


def test_a_count_needs_no_files() -> None:
    counted = manifest.count(batches(10))
    assert counted == {"protected": 4, "warn": 6}
    assert manifest.verdicts_of(counted, 25) == {
        "keep": 15,
        "warn": 6,
        "reclaim": 0,
        "protected": 4,
        "retire": 0,
    }


def test_what_was_staged_replaces_an_earlier_sweep_and_leaves_other_files(tmp_path: Path) -> None:
    for name in ("findings-0000.parquet", "findings-0001.parquet", "rejects.csv", "notes.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "manifest.json").write_text("{}")
    with manifest.staged(tmp_path) as stage:
        (stage / "findings-0000.parquet").write_text("new")
        manifest.write_json(stage, {"rows": 1})
        assert (tmp_path / "manifest.json").read_text() == "{}"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "findings-0000.parquet": "new",
        "notes.txt": "old",
        "manifest.json": '{\n  "rows": 1\n}\n',
    }


@pytest.mark.parametrize("there", [True, False])
def test_after_a_fault_nothing_has_changed(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
        (out / "manifest.json").write_text("{}")

    def fail() -> None:
        with manifest.staged(out) as stage:
            (stage / "findings-0000.parquet").write_text("new")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert out.exists() is there
    left: Any = {path.name: path.read_text() for path in out.iterdir()} if there else {}
    assert left == ({"manifest.json": "{}"} if there else {})


def test_a_fault_while_files_move_leaves_no_manifest_that_describes_others(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "in the way" / "deep").mkdir(parents=True)

    def fail() -> None:
        with manifest.staged(tmp_path) as stage:
            (stage / "in the way").write_text("new")
            manifest.write_json(stage, {"rows": 1})

    with pytest.raises(OSError, match="in the way"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["in the way"]


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    manifest.write_json(tmp_path, {"profile": "x", "ignored": ["été"]})
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"profile": "x", "ignored": ["été"]}
    assert "été" in text
