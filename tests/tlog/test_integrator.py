"""The one writer: what it publishes verifies, a crash is repaired by a retry, forks are refused."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onym.tlog import checkpoint, integrator, merkle, tiles

SIGNER = checkpoint.Signer("log.example/handles", bytes(range(32)))
WITNESS = checkpoint.Signer("witness.example/w1", bytes(32), checkpoint.COSIGNATURE)


def rows(start: int, end: int) -> list[bytes]:
    return [b"row %d" % number for number in range(start, end)]


def append(
    folder: Path, entries: Sequence[bytes], first: int, signer: checkpoint.Signer = SIGNER
) -> checkpoint.Checkpoint:
    return integrator.append(folder, entries, signer, first=first)


def published(folder: Path) -> list[bytes]:
    """What a stranger reads: everything checked, up to the signed root."""
    head = integrator.head(folder, SIGNER.verifier)
    assert head is not None
    source = tiles.Tiles(tiles.directory(folder), head.size)
    return [entry for _, entry in tiles.checked_entries(source, head.root)]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_first_checkpoint_may_be_of_an_empty_log(tmp_path: Path) -> None:
    head = append(tmp_path / "log", [], 0)
    assert (head.size, head.root) == (0, merkle.EMPTY_ROOT)
    assert published(tmp_path / "log") == []
    assert (tmp_path / "log/key").read_text() == str(SIGNER.verifier)


@given(st.lists(st.integers(0, 700), max_size=4))
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_leaves_in_any_steps_give_the_tree_of_all_and_no_empty_tile(steps: list[int]) -> None:
    folder = Path("/tmp") / f"onym-log-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        size = 0
        for step in steps:
            head = append(folder, rows(size, size + step), size)
            size += step
            assert head.root == merkle.root_of_rows(rows(0, size))
            assert published(folder) == rows(0, size)
        assert all(files(folder).get(path) for path in files(folder) if path.startswith("tile"))
        assert all(tiles.is_public(path) for path in files(folder) if not path.startswith("."))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_partial_tiles_of_signed_sizes_stay_until_the_full_one_is_there(tmp_path: Path) -> None:
    append(tmp_path, rows(0, 10), 0)
    append(tmp_path, rows(10, 20), 10)
    assert {"tile/0/000.p/10", "tile/0/000.p/20"} <= files(tmp_path).keys()
    append(tmp_path, rows(20, 256), 20)
    assert not [path for path in files(tmp_path) if path.startswith("tile/0/000.p")]
    assert not [path for path in files(tmp_path) if path.startswith("tile/entries/000.p")]


def test_a_retry_with_the_same_rows_gives_the_same_checkpoint(tmp_path: Path) -> None:
    once = append(tmp_path, rows(0, 300), 0)
    before = files(tmp_path)
    assert append(tmp_path, rows(0, 300), 0) == once
    assert append(tmp_path, [], 300) == once
    assert files(tmp_path) == before


def test_a_retry_may_bring_more_rows(tmp_path: Path) -> None:
    append(tmp_path, rows(0, 300), 0)
    assert append(tmp_path, rows(200, 600), 200).root == merkle.root_of_rows(rows(0, 600))
    assert published(tmp_path) == rows(0, 600)


@pytest.mark.parametrize(
    ("entries", "first", "says"),
    [
        (rows(0, 90), 0, "restored to a time before"),
        (rows(90, 95), 90, "restored to a time before"),
        ([*rows(0, 40), b"other", *rows(41, 100)], 0, "leaf 40 is published with another"),
        ([*rows(90, 99), b"other", b"more"], 90, "leaf 99 is published with another"),
        (rows(101, 110), 101, "end at leaf 100"),
    ],
)
def test_a_caller_that_the_published_log_contradicts_is_refused(
    entries: list[bytes], first: int, says: str, tmp_path: Path
) -> None:
    append(tmp_path, rows(0, 100), 0)
    before = files(tmp_path)
    with pytest.raises(integrator.CannotSign, match=says):
        append(tmp_path, entries, first)
    assert files(tmp_path) == before


def test_another_key_does_not_go_on_with_this_log(tmp_path: Path) -> None:
    append(tmp_path, rows(0, 3), 0)
    for other in (
        checkpoint.Signer(SIGNER.name, b"x" * 32),
        checkpoint.Signer("other.example", SIGNER.seed),
    ):
        with pytest.raises(integrator.CannotSign, match="not by this log"):
            append(tmp_path, rows(3, 4), 3, other)


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
def test_a_damaged_or_missing_right_edge_is_never_signed_over(path: str, tmp_path: Path) -> None:
    append(tmp_path, rows(0, 300), 0)
    good = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(good[:5] + bytes([good[5] ^ 1]) + good[6:])
    with pytest.raises(integrator.CannotSign):
        append(tmp_path, rows(300, 301), 300)
    (tmp_path / path).unlink()
    with pytest.raises(integrator.CannotSign, match="cannot be read"):
        append(tmp_path, rows(300, 301), 300)
    (tmp_path / path).write_bytes(good)
    assert append(tmp_path, rows(300, 301), 300).size == 301


def test_what_a_crash_left_unsigned_is_written_again(tmp_path: Path) -> None:
    append(tmp_path, rows(0, 250), 0)
    before = {path: (tmp_path / path).read_bytes() for path in ("checkpoint", "key")}
    append(tmp_path, [b"never published"] * 20, 250)
    for path, data in before.items():
        (tmp_path / path).write_bytes(data)
    (tmp_path / ".new/7").write_bytes(b"half a fi")
    for part in ("tile/0/000", "tile/entries/000"):  # the crash came before these were removed
        (tmp_path / f"{part}.p").mkdir()
    edge = tiles.Edge()
    edge.add([merkle.leaf_hash(entry) for entry in rows(0, 250)])
    (tmp_path / "tile/0/000.p/250").write_bytes(edge.rows[0])
    (tmp_path / "tile/entries/000.p/250").write_bytes(tiles.bundle(rows(0, 250)))
    append(tmp_path, rows(250, 270), 250)
    assert published(tmp_path) == rows(0, 270)


def test_an_entry_that_fits_no_bundle_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"65,535"):
        append(tmp_path / "log", [b"x" * 65_536], 0)
    assert not (tmp_path / "log").exists()
    assert append(tmp_path / "log", [b"x" * 65_535], 0).size == 1


def test_a_cosignature_joins_the_checkpoint_of_its_size_only(tmp_path: Path) -> None:
    head = append(tmp_path, rows(0, 5), 0)
    lines = WITNESS.sign(head.text, seconds=1)
    assert integrator.cosign(tmp_path, SIGNER.verifier, size=5, lines=lines)
    note = (tmp_path / "checkpoint").read_bytes()
    assert checkpoint.cosignatures(note, [WITNESS.verifier]) == [WITNESS.name]
    append(tmp_path, rows(5, 6), 5)
    assert not integrator.cosign(tmp_path, SIGNER.verifier, size=5, lines=lines)


def _append_for_ever(folder: Path) -> None:
    size = 0
    while True:
        head = integrator.head(folder, SIGNER.verifier)
        size = head.size if head else 0
        append(folder, rows(size, size + 137), size)


def test_a_killed_writer_leaves_a_log_that_verifies_and_goes_on(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn")
    seen = 0
    for wait in (0.02, 0.05, 0.08, 0.11, 0.14):
        writer = start.Process(target=_append_for_ever, args=(tmp_path / "log",))
        writer.start()
        while not (tmp_path / "log/checkpoint").exists():
            time.sleep(0.01)
        time.sleep(wait)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(10)
        entries = published(tmp_path / "log")
        assert entries == rows(0, len(entries))
        assert len(entries) >= seen
        seen = len(entries)
    assert append(tmp_path / "log", rows(seen, seen + 1), seen).size == seen + 1
    assert published(tmp_path / "log") == rows(0, seen + 1)


def _append_all(folder: Path, count: int) -> None:
    for size in range(count):
        append(folder, rows(0, size + 1), 0)


def test_two_writers_of_one_directory_do_not_fork_it(tmp_path: Path) -> None:
    start = multiprocessing.get_context("spawn")
    writers = [start.Process(target=_append_all, args=(tmp_path, 60)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    # The slower one is told that the log is ahead of it; the published log is whole either way.
    assert 0 in [writer.exitcode for writer in writers]
    assert published(tmp_path) == rows(0, 60)


def test_a_writer_waits_for_the_one_before_it(tmp_path: Path) -> None:
    append(tmp_path, rows(0, 5), 0)
    with (tmp_path / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = threading.Thread(target=append, args=(tmp_path, rows(5, 6), 5))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert published(tmp_path) == rows(0, 5)
    writer.join(10)
    assert published(tmp_path) == rows(0, 6)
