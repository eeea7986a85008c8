"""The file of a bulk act: what a leaf says of it can be recomputed by anybody."""

from __future__ import annotations

import hashlib
from pathlib import Path

from onym.core import events
from onym.sweep import outcome
from onym.sweep.outcome import Fate
from onym.tlog import merkle

FATES = [Fate("moon", "3", "sent", "sent"), Fate("handle", "1007", "none", "sent"), Fate("x", "9")]


def test_the_file_holds_what_was_written_sorted_by_handle(tmp_path: Path) -> None:
    written = outcome.write(tmp_path / "a" / "warned.parquet", FATES)
    assert outcome.read(written.path) == sorted(FATES)
    assert written.count == 3


def test_root_and_hash_recompute_from_the_file(tmp_path: Path) -> None:
    written = outcome.write(tmp_path / "warned.parquet", FATES)
    rows = [events.directory_row(fate.handle, fate.account_id) for fate in sorted(FATES)]
    assert written.root == merkle.root_of_rows(rows).hex()
    assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()


def test_equal_fates_make_equal_files_and_a_second_writing_replaces_the_first(
    tmp_path: Path,
) -> None:
    path = tmp_path / "warned.parquet"
    one, other = outcome.write(path, FATES), outcome.write(path, reversed(FATES))
    assert one == other
    assert [file.name for file in tmp_path.iterdir()] == ["warned.parquet"]


def test_nobody_is_a_file_as_well(tmp_path: Path) -> None:
    written = outcome.write(tmp_path / "none.parquet", [])
    assert (written.count, outcome.read(written.path)) == (0, [])
