"""The stock: findings found by handle, cut into waves that are a pure function of the handle."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import errors, events
from onym.sweep import snapshot, stock
from onym.tlog import merkle

DEADLINE = datetime.datetime(2026, 12, 24, 8, 30, tzinfo=datetime.UTC)
SCHEMA = pa.schema(
    {
        "handle": pa.string(),
        "canonical": pa.string(),
        "account_id": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "idle_days": pa.int64(),
        "deadline_at": pa.timestamp("us"),
        "tier": pa.string(),
        "appraisal_mid_minor": pa.int64(),
        "resting_days": pa.int64(),
    }
)
FINDINGS = [
    {
        "handle": f"H{n}", "canonical": f"h{n}", "account_id": str(n),
        "verdict": ("warn", "reclaim", "protected")[n % 3], "reasons": ["idle_login"] * (n % 2),
        "idle_days": n, "deadline_at": DEADLINE.replace(tzinfo=None) if n % 3 == 0 else None,
        "tier": "standard", "appraisal_mid_minor": 5000 + n, "resting_days": 30 if n % 2 else None,
    }
    for n in range(1000)
]  # fmt: skip


def swept(folder: Path, findings: list[dict[str, object]] = FINDINGS, parts: int = 3) -> Path:
    """A sweep's folder: Parquet partitions and the manifest that names them."""
    folder.mkdir()
    partitions = []
    for part in range(parts):
        file = folder / f"findings-{part}.parquet"
        pq.write_table(pa.Table.from_pylist(findings[part::parts], SCHEMA), file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        partitions.append({"file": file.name, "rows": len(findings[part::parts]), "sha256": digest})
    manifest = {"policy": {"id": "x-2023", "version": 3}, "partitions": partitions}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def written(sweep: Path, folder: Path, first: Collection[str] = ()) -> stock.Stock:
    with duckdb.connect(config={"threads": 2}) as con:
        return snapshot.write_stock(con, sweep, folder, first=first)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> stock.Stock:
    folder = tmp_path_factory.mktemp("stock")
    return written(swept(folder / "sweep"), folder / "stock", first=["h7", "h8"])


def expected(n: int) -> dict[str, object]:
    return {**FINDINGS[n], "deadline_at": DEADLINE if n % 3 == 0 else None}


def test_a_finding_is_read_back_as_the_sweep_wrote_it(found: stock.Stock) -> None:
    assert [found.finding(f"h{n}") for n in range(1000)] == [expected(n) for n in range(1000)]
    assert found.rows == 1000
    assert found.counts == {"protected": 333, "reclaim": 333, "warn": 334}
    assert found.sweep["policy"] == {"id": "x-2023", "version": 3}


@pytest.mark.parametrize("unknown", ["", "h", "h1000", "H1", 'h1","1'])
def test_a_kept_or_unknown_handle_has_no_finding(found: stock.Stock, unknown: str) -> None:
    assert found.finding(unknown) is None


VECTORS = [("handle", 7), ("moon", 2074), ("sunset", 281), ("é", 3253)]
"""By another hand: `echo $((16#$(printf %s handle | sha256sum | cut -c1-15) % 10000))`."""


@pytest.mark.parametrize(("handle", "number"), VECTORS)
def test_a_bucket_is_a_pure_function_of_the_handle(handle: str, number: int) -> None:
    whole = int(hashlib.sha256(handle.encode()).hexdigest(), 16)
    assert stock.bucket(handle) == (whole >> 196) % 10_000 == number


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_slice_holds_the_handles_of_its_buckets_in_order(
    found: stock.Stock, low: int, high: int
) -> None:
    listed = list(found.slice(low, high))
    places = [(found.bucket(each["canonical"]), each["canonical"]) for each in listed]
    wanted = sorted((found.bucket(f"h{n}"), f"h{n}") for n in range(1000))
    assert places == [each for each in wanted if low <= each[0] < high]
    assert found.count(low, high) == len(listed) if low <= high else not listed


def test_the_stages_are_disjoint_and_whole(found: stock.Stock) -> None:
    stages = [(0, 100), (100, 1000), (1000, 10_000)]
    handles = [each["canonical"] for stage in stages for each in found.slice(*stage)]
    assert len(handles) == len(set(handles)) == 1000
    assert 0 < found.count(0, 100) < found.count(100, 1000) < found.count(1000, 10_000)


def test_handles_of_the_story_come_first(found: stock.Stock) -> None:
    assert {"h7", "h8"} <= {each["canonical"] for each in found.slice(0, 1)}
    assert stock.bucket("h7") != 0
    assert found.finding("h7") == expected(7)


def test_a_slice_goes_on_after_a_handle(found: stock.Stock) -> None:
    whole = [each["canonical"] for each in found.slice(0, 5000)]
    assert whole[300:] == [each["canonical"] for each in found.slice(0, 5000, after=whole[299])]
    assert list(found.slice(0, 5000, after=whole[-1])) == []


def test_the_root_of_a_slice_recomputes_from_its_findings(found: stock.Stock) -> None:
    rows = [
        events.canonical(
            [f"{found.bucket(each['canonical']):04}", each["canonical"], each["account_id"]]
        )
        for each in found.slice(100, 4000)
    ]
    assert rows == sorted(rows)
    assert found.root(100, 4000) == merkle.root_of_rows(rows)
    assert found.root(5, 5) == merkle.EMPTY_ROOT


def test_findings_are_listed_by_prefix(found: stock.Stock) -> None:
    assert [each["canonical"] for each in found.prefix("h99", limit=3)] == ["h99", "h990", "h991"]
    assert [each["idle_days"] for each in found.prefix("h99", after="h997")] == [998, 999]
    assert found.prefix("x") == []


def test_two_writings_give_equal_files(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "sweep")
    written(sweep, tmp_path / "one")
    written(sweep, tmp_path / "two")
    for name in (stock.MANIFEST, stock.BUCKETS, stock.HANDLES):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("parts", [0, 1])
def test_a_sweep_may_find_nothing(tmp_path: Path, parts: int) -> None:
    empty = written(swept(tmp_path / "sweep", [], parts), tmp_path / "stock")
    assert (empty.rows, empty.counts, empty.finding("h1")) == (0, {}, None)
    assert list(empty.slice(0, 10_000)) == []
    assert empty.prefix("") == []


def test_a_changed_file_of_a_sweep_is_refused(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "sweep")
    file = sweep / "findings-1.parquet"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(errors.Malformed, match=r"findings-1\.parquet: not the file that was swept"):
        written(sweep, tmp_path / "stock")
    assert not (tmp_path / "stock").exists()


def test_a_handle_found_twice_is_refused(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "sweep", [*FINDINGS[:5], FINDINGS[2]])
    with pytest.raises(errors.Malformed, match="'h2' was found twice"):
        written(sweep, tmp_path / "stock")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]


def test_a_folder_without_sweep_or_stock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Malformed, match="no whole sweep lies there"):
        written(tmp_path, tmp_path / "stock")
    with pytest.raises(errors.Malformed, match="no stock lies there"):
        stock.Stock(tmp_path)
