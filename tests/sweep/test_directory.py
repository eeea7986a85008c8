"""The directory snapshot: written whole, equal for equal input, found fast, proven by its root."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onym.core import errors, events
from onym.sweep import accounts, blocks, directory, snapshot
from onym.sweep.columns import COLUMNS
from onym.tlog import merkle

UTC = datetime.UTC


def toy_seal(data: bytes) -> bytes:
    """Stands for a cipher: it is its own opening, and nothing of the text shows."""
    return bytes(byte ^ 0x5A for byte in data)


def written(
    folder: Path,
    records: Sequence[dict[str, object]],
    *,
    profile: str = "x",
    name: str = "snap",
    seal: directory.Seal | None = None,
    threads: int = 2,
) -> directory.Snapshot:
    table = folder / "in.jsonl"
    table.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with (
        duckdb.connect(config={"threads": threads}) as con,
        accounts.open_accounts(con, [table], mapping={}, profile=profile, scratch=folder) as found,
    ):
        return snapshot.write_snapshot(found, folder / name, seal=seal)


def many(count: int) -> list[dict[str, object]]:
    return [
        {"account_id": str(n * 7919 % count), "handle": f"H{n * 104729 % count:x}", "followers": n}
        for n in range(count)
    ]


def test_a_row_is_found_by_handle_and_by_account_with_every_column(tmp_path: Path) -> None:
    written(
        tmp_path,
        [
            {
                "account_id": "1007", "handle": "Handle", "created_at": "2009-03-01T10:00:00.5Z",
                "followers": 12, "verified": True, "bot_score": 0.25, "status": "suspended",
                "bio": 'tab\t, line\n, "quote", \\ and é', "email": "h@example.org",
            },
            {"account_id": "7", "handle": "moon"},
        ],
    )  # fmt: skip
    found = directory.Directory(tmp_path / "snap")
    row = found.by_handle("handle")
    assert row == {
        **dict.fromkeys(name for name in COLUMNS if name != "email"),
        "account_id": "1007", "handle": "Handle", "display": "Handle", "canonical": "handle",
        "created_at": datetime.datetime(2009, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC),
        "followers": 12, "verified": True, "bot_score": 0.25, "status": "suspended",
        "bio": 'tab\t, line\n, "quote", \\ and é',
    }  # fmt: skip
    assert found.by_account("1007") == row
    assert found.by_account("7") == found.by_handle("moon")


@pytest.mark.parametrize("unknown", ["", "hand", "handles", "zzz", "0", 'x","7'])
def test_what_is_not_in_the_directory_is_none(tmp_path: Path, unknown: str) -> None:
    written(tmp_path, [{"account_id": "1", "handle": "handle"}])
    found = directory.Directory(tmp_path / "snap")
    assert found.by_handle(unknown) is None
    assert found.by_account(unknown) is None
    assert found.path(unknown) is None
    assert found.email(unknown) is None


@pytest.mark.parametrize(
    "count", [1, 2, blocks.ROWS - 1, blocks.ROWS, blocks.ROWS + 1, 3 * blocks.ROWS, 1000]
)
def test_every_row_is_found_and_proven_under_the_root(tmp_path: Path, count: int) -> None:
    records = many(count)
    made = written(tmp_path, records)
    rows = sorted(
        events.directory_row(str(record["handle"]).lower(), str(record["account_id"]))
        for record in records
    )
    root = merkle.root_of_rows(rows)
    assert (made.rows, made.root) == (count, root.hex())
    found = directory.Directory(tmp_path / "snap")
    for record in records:
        canonical, account = str(record["handle"]).lower(), str(record["account_id"])
        held = found.by_handle(canonical)
        assert held is not None
        assert (held["account_id"], held["followers"]) == (account, record["followers"])
        assert found.by_account(account) == held
        path = found.path(canonical)
        assert path is not None
        leaf = merkle.leaf_hash(events.directory_row(canonical, account))
        assert merkle.includes(
            leaf=leaf, index=path.index, size=path.size, proof=path.hashes, root=root
        )


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.dictionaries(
        st.text('aZ!"\\~é-', min_size=1, max_size=6),
        st.text("aZ \"\\/\x80\u2028é😀'", min_size=1, max_size=6),
        min_size=1,
        max_size=30,
    )
)
def test_odd_characters_keep_order_rows_and_root(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    records = [{"account_id": account, "handle": handle} for handle, account in pairs.items()]
    try:
        made = written(folder, records, profile="precis")
    except errors.Malformed:
        return  # no handle of the draw fits the profile
    found = directory.Directory(folder / "snap")
    listed = found.prefix("", limit=100)
    rows = [events.directory_row(each["canonical"], each["account_id"]) for each in listed]
    assert rows == sorted(rows)
    assert made.root == merkle.root_of_rows(rows).hex()
    assert [found.by_account(each["account_id"]) for each in listed] == listed


def test_two_imports_of_the_same_accounts_give_equal_files(tmp_path: Path) -> None:
    records = many(3000)
    first = written(tmp_path, records, name="one", threads=1)
    second = written(tmp_path, records, name="two", threads=2)
    third = written(tmp_path, records[::-1], name="three")
    assert first.files == second.files == third.files
    assert first.root == second.root == third.root
    for name, digest in first.files.items():
        assert hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() == digest
    manifests = {(tmp_path / name / directory.MANIFEST).read_bytes() for name in ("one", "two")}
    assert len(manifests) == 1
    assert first.sha256 == first.files[directory.TABLE]


def test_the_table_is_sorted_parquet_without_addresses(tmp_path: Path) -> None:
    written(tmp_path, [{"account_id": "2", "handle": "b", "email": "b@x.org"}, *many(500)])
    table = pq.read_table(tmp_path / "snap" / directory.TABLE)
    assert table.column_names == [*(n for n in COLUMNS if n != "email"), "canonical"]
    handles = table["canonical"].to_pylist()
    assert handles == sorted(handles)
    assert not (tmp_path / "snap" / directory.CONTACTS).exists()
    assert all(b"b@x.org" not in path.read_bytes() for path in (tmp_path / "snap").iterdir())


def test_addresses_lie_sealed_and_apart(tmp_path: Path) -> None:
    records = [
        {
            "account_id": str(n),
            "handle": f"h{n}",
            "email": f"member{n}@example.org" if n % 2 else "",
        }
        for n in range(500)
    ]
    made = written(tmp_path, records, seal=toy_seal)
    assert directory.CONTACTS not in made.files
    for path in (tmp_path / "snap").iterdir():
        assert b"@example.org" not in path.read_bytes()
    found = directory.Directory(tmp_path / "snap", open_=toy_seal)
    assert [found.email(str(n)) for n in (0, 1, 499)] == [
        None, "member1@example.org", "member499@example.org",
    ]  # fmt: skip
    assert directory.Directory(tmp_path / "snap").email("1") is None


def test_a_prefix_is_listed_in_order_and_goes_on_after_a_handle(tmp_path: Path) -> None:
    written(tmp_path, [{"account_id": str(n), "handle": f"a{n:04}"} for n in range(600)])
    found = directory.Directory(tmp_path / "snap")

    def handles(prefix: str, after: str | None = None, limit: int = 50) -> list[str]:
        return [row["canonical"] for row in found.prefix(prefix, after=after, limit=limit)]

    assert handles("a012") == [f"a{n:04}" for n in range(120, 130)]
    assert handles("a", after="a0126", limit=3) == ["a0127", "a0128", "a0129"]
    assert handles("a01", after="a0198") == ["a0199"]
    assert handles("a01", after="a01985") == ["a0199"]
    assert handles("a02", after="a01", limit=1) == ["a0200"]
    assert handles("b") == []
    everything: list[str] = []
    while page := handles("", after=everything[-1] if everything else None, limit=77):
        everything += page
    assert everything == [f"a{n:04}" for n in range(600)]


def test_a_snapshot_is_never_written_over(tmp_path: Path) -> None:
    written(tmp_path, many(3))
    before = (tmp_path / "snap" / directory.MANIFEST).read_bytes()
    with pytest.raises(errors.Malformed, match="never change"):
        written(tmp_path, many(4))
    assert (tmp_path / "snap" / directory.MANIFEST).read_bytes() == before


def test_no_accepted_row_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(errors.Malformed) as refused:
        written(tmp_path, [{"account_id": "1", "handle": "not a handle"}])
    assert refused.value.facts == {"rejects": {"handle_character": 1}}
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_seal_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(data: bytes) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        written(tmp_path, [{"account_id": "1", "handle": "a", "email": "a@x.org"}], seal=broken)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_folder_without_a_whole_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Malformed, match="no directory snapshot"):
        directory.Directory(tmp_path / "none")
    written(tmp_path, many(500))
    whole = (tmp_path / "snap" / directory.HANDLES).read_bytes()
    (tmp_path / "snap" / directory.HANDLES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.Malformed, match="cannot be read"):
        directory.Directory(tmp_path / "snap")


def test_a_snapshot_is_an_account_table_that_needs_no_new_checks(tmp_path: Path) -> None:
    written(tmp_path, [{"account_id": "1", "handle": "Ada", "bio": "x", "email": "a@x.org"}])
    with (
        duckdb.connect() as con,
        accounts.open_accounts(con, [tmp_path / "snap"], mapping={}, profile=None) as read,
    ):
        described = con.execute(f"DESCRIBE SELECT * FROM {read.table}").fetchall()
        assert [row[0] for row in described] == [*COLUMNS, "canonical", "display"]
        assert con.execute(
            f"SELECT account_id, handle, canonical, display, bio, email FROM {read.table}"
        ).fetchall() == [("1", "Ada", "ada", "Ada", "x", None)]
        assert (read.rows, read.profile, read.rejects) == (1, "x", {})
        assert {"email", "followers"} < set(read.missing)
        assert "bio" not in read.missing
        read.write_rejects(tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text() == ("file,row,account_id,handle,reason,column\n")


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a*[1]'b"
    odd.mkdir()
    made = written(odd, many(300))
    assert made.rows == 300
    with (
        duckdb.connect() as con,
        accounts.open_accounts(con, [made.path], mapping={}, profile="x") as read,
    ):
        assert con.execute(f"SELECT count(*) FROM {read.table}").fetchall() == [(300,)]


def test_a_snapshot_under_another_profile_is_checked_again(tmp_path: Path) -> None:
    written(tmp_path, [{"account_id": "1", "handle": "a_b"}, {"account_id": "2", "handle": "abc"}])
    with (
        duckdb.connect() as con,
        accounts.open_accounts(con, [tmp_path / "snap"], mapping={}, profile="dns") as read,
    ):
        assert (read.rows, read.rejects) == (1, {"handle_character": 1})


def test_reading_loads_no_engine(tmp_path: Path) -> None:
    written(tmp_path, many(300))
    code = (
        "import sys; from pathlib import Path; from onym.sweep import directory;"
        f"d = directory.cached(Path({str(tmp_path / 'snap')!r}));"
        "assert d is directory.cached(d.snapshot.path);"
        "assert d.by_handle('h1') and d.path('h1') and d.prefix('h');"
        "print([m for m in ('duckdb', 'ibis', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": "src"}, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
