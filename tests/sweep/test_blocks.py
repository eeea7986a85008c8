"""Blocks: sorted rows that are found by the beginning of their key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import errors
from onym.sweep import blocks
from onym.tlog import merkle

ROWS = [b'["%05d"]\t%d' % (n * 3, n) for n in range(3 * blocks.ROWS + 5)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> blocks.Blocks:
    path = tmp_path_factory.mktemp("blocks") / "rows.blocks"
    assert blocks.write(path, iter(ROWS), tree=True) == len(ROWS)
    return blocks.Blocks(path)


@given(st.integers(0, 3 * len(ROWS)))
def test_a_place_is_the_number_of_keys_before_a_prefix(found: blocks.Blocks, n: int) -> None:
    prefix = b'["%05d"' % n
    place = sum(row < prefix for row in ROWS)
    assert found.place(prefix) == place
    assert found.find(prefix) == (
        (place, ROWS[place]) if n % 3 == 0 and n < 3 * len(ROWS) else None
    )


def test_rows_are_read_from_any_place_to_the_end(found: blocks.Blocks) -> None:
    for place in (0, 1, blocks.ROWS, blocks.ROWS + 1, len(ROWS) - 1, len(ROWS)):
        assert [row for _, row in found.rows_from(place)] == ROWS[place:]


def test_the_hashes_in_the_file_are_those_of_the_keys(found: blocks.Blocks) -> None:
    keys = [blocks.key_of(row) for row in ROWS]
    root = merkle.root_of_rows(keys)
    assert found.root() == root
    for place in range(len(ROWS)):
        leaf, proof = merkle.leaf_hash(keys[place]), found.path(place)
        assert merkle.includes(leaf=leaf, index=place, size=len(ROWS), proof=proof, root=root)


def test_no_row_is_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.blocks"
    assert blocks.write(path, [], tree=True) == 0
    empty = blocks.Blocks(path)
    assert (empty.find(b"["), list(empty.rows_from(0))) == (None, [])
    assert empty.root() == merkle.EMPTY_ROOT


def test_a_sealed_file_needs_its_opening(tmp_path: Path) -> None:
    path = tmp_path / "rows.blocks"
    blocks.write(path, ROWS, seal=lambda data: b"sealed" + data[::-1])
    opened = blocks.Blocks(path, open_=lambda data: data.removeprefix(b"sealed")[::-1])
    assert opened.find(b'["00003"') == (1, ROWS[1])


@pytest.mark.parametrize("damage", ["none", "empty", "cut", "magic", "other"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rows.blocks"
    blocks.write(path, ROWS)
    whole = path.read_bytes()
    content = {
        "empty": b"",
        "cut": whole[:-1],
        "magic": whole[:-1] + b"2",
        "other": b"something else that is long enough to have a tail of its own",
    }
    path.unlink() if damage == "none" else path.write_bytes(content[damage])
    with pytest.raises(errors.Malformed, match=r"rows\.blocks cannot be read"):
        blocks.Blocks(path)
