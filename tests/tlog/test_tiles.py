"""The log as files: names, widths and bundles as published, and tiles equal to a tree in memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.tlog import merkle, tiles


def made(count: int) -> dict[str, bytes]:
    """The files of a log of `count` small entries, grown one bundle at a time."""
    files: dict[str, bytes] = {}
    edge = tiles.Edge()
    for start in range(0, count, tiles.WIDTH):
        some = [b"%d" % number for number in range(start, min(count, start + tiles.WIDTH))]
        files[tiles.entries_path(start // tiles.WIDTH, len(some))] = tiles.bundle(some)
        for level, index, data in edge.add([merkle.leaf_hash(entry) for entry in some]):
            files[tiles.tile_path(level, index)] = data
    for level, index, data in edge.partial():
        files[tiles.tile_path(level, index, len(data) // 32)] = data
    return files


def read_from(files: dict[str, bytes]) -> tiles.Read:
    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read


@cache
def root_of(count: int) -> bytes:
    return merkle.root_of_rows(b"%d" % number for number in range(count))


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 1, 256, "tile/0/001"),
        (1, 0, 1, "tile/1/000.p/1"),
        (4, 1234067, 256, "tile/4/x001/x234/067"),
        (4, 1234067, 17, "tile/4/x001/x234/067.p/17"),
        (0, 1000, 256, "tile/0/x001/000"),
        (63, 999, 255, "tile/63/999.p/255"),
        (0, 1_000_000, 256, "tile/0/x001/x000/000"),
    ],
)
def test_tiles_have_the_published_names(level: int, index: int, width: int, path: str) -> None:
    assert tiles.tile_path(level, index, width) == path
    assert tiles.is_public(path)


def test_bundles_are_named_like_tiles() -> None:
    assert tiles.entries_path(1234067) == "tile/entries/x001/x234/067"
    assert tiles.entries_path(273, 112) == "tile/entries/273.p/112"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".lock",
        "../secret",
        "tile/0/../../secret",
        "tile/0/00",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/64/000",
        "tile/00/000",
        "tile/entries/000/",
        "/checkpoint",
        "checkpoint\n",
        ".new/0",
    ],
)
def test_nothing_else_is_public(path: str, tmp_path: Path) -> None:
    assert not tiles.is_public(path)
    with pytest.raises(FileNotFoundError):
        tiles.directory(tmp_path)(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    files = set(made(70_000))
    full = {path for path in files if ".p/" not in path}
    assert len([path for path in full if path.startswith("tile/0/")]) == 273
    assert {path for path in files - full if not path.startswith("tile/entries")} == {
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert "tile/1/000" in full


def test_a_tree_of_256_has_a_full_tile_and_a_partial_one_above_it() -> None:
    assert set(made(256)) == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}


def test_an_empty_tree_has_no_tiles() -> None:
    assert made(0) == {}
    assert tiles.Edge().root() == merkle.EMPTY_ROOT
    assert list(tiles.checked_entries(tiles.Tiles(read_from({}), 0), merkle.EMPTY_ROOT)) == []


@given(st.lists(st.binary(max_size=70_000), max_size=5))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    entries = [entry[: tiles.MAX_ENTRY_BYTES] for entry in entries]
    assert tiles.unbundle(tiles.bundle(entries)) == entries


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_cut_bundle_is_refused_or_shorter(entries: list[bytes], data: st.DataObject) -> None:
    whole = tiles.bundle(entries)
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        got = tiles.unbundle(whole[:cut])
    except ValueError:
        return
    assert got == entries[: len(got)]
    assert len(got) < len(entries)


def test_a_bundle_has_the_length_before_each_entry() -> None:
    assert tiles.bundle([b"", b"a", b"x" * 300]).startswith(b"\x00\x00\x00\x01a\x01\x2cxxx")


SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 66_000]
FILES = {size: made(size) for size in SIZES}


@pytest.mark.parametrize("size", SIZES)
def test_the_tiles_give_the_root_and_the_entries(size: int) -> None:
    source = tiles.Tiles(read_from(FILES[size]), size)
    assert merkle.tree_root(size, source) == root_of(size)
    assert tiles.Edge.of(source).root() == root_of(size)
    got = list(tiles.checked_entries(source, root_of(size)))
    assert got == [(number, b"%d" % number) for number in range(size)]
    assert tiles.entry(source, size - 1) == b"%d" % (size - 1)


@given(st.sampled_from(SIZES), st.data())
def test_proofs_from_tiles_are_those_of_the_tree_in_memory(size: int, data: st.DataObject) -> None:
    source = tiles.Tiles(read_from(FILES[size]), size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    proof = merkle.inclusion_proof(index, size, source)
    leaf = merkle.leaf_hash(b"%d" % index)
    assert merkle.includes(leaf=leaf, index=index, size=size, proof=proof, root=root_of(size))
    proof = merkle.consistency_proof(old, size, source)
    assert merkle.extends(
        old=old, size=size, proof=proof, old_root=root_of(old), root=root_of(size)
    )


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 700))
def test_growing_in_any_steps_gives_the_same_edge(first: int, second: int, third: int) -> None:
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(first + second + third)]
    steps, at_once = tiles.Edge(), tiles.Edge()
    filled = [
        tile
        for start, end in ((0, first), (first, first + second), (first + second, len(leaves)))
        for tile in steps.add(leaves[start:end])
    ]
    assert sorted(filled) == sorted(at_once.add(leaves))
    assert (steps.rows, steps.size) == (at_once.rows, at_once.size)
    assert steps.root() == merkle.root(leaves)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def names(path: str, data: bytes, bit: int) -> range:
    """The leaves that the message must name for a flipped bit, at the latest."""
    number = path.split("/", 2)[2].removesuffix("/").split(".p/")[0].replace("x", "")
    index = int(number.replace("/", ""))
    if path.startswith("tile/entries"):
        at, leaf = 0, index * 256
        while bit // 8 >= at + 2 + int.from_bytes(data[at : at + 2], "big"):
            at, leaf = at + 2 + int.from_bytes(data[at : at + 2], "big"), leaf + 1
        return range(leaf, leaf + 1)
    span = 256 ** int(path.split("/")[1])
    start = (index * 256 + bit // 8 // 32) * span
    return range(start, start + span)


@given(st.sampled_from([3, 256, 257, 513, 1000]), st.data())
def test_a_flipped_bit_anywhere_is_found_and_the_leaf_is_named(
    size: int, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(FILES[size])))
    good = FILES[size][path]
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    source = tiles.Tiles(read_from({**FILES[size], path: flipped(good, bit)}), size)
    with pytest.raises(tiles.TileFault) as caught:
        list(tiles.checked_entries(source, root_of(size)))
    in_length = "truncated" in caught.value.why
    assert in_length or caught.value.leaf in names(path, good, bit)


@given(st.sampled_from([3, 256, 513, 1000]), st.data())
def test_a_missing_or_truncated_file_is_named(size: int, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(FILES[size])))
    rest = {name: value for name, value in FILES[size].items() if name != path}
    with pytest.raises(tiles.TileFault, match="missing") as caught:
        list(tiles.checked_entries(tiles.Tiles(read_from(rest), size), root_of(size)))
    assert caught.value.path == path
    cut = data.draw(st.integers(0, len(FILES[size][path]) - 1))
    files = {**rest, path: FILES[size][path][:cut]}
    with pytest.raises(tiles.TileFault, match="truncated") as caught:
        list(tiles.checked_entries(tiles.Tiles(read_from(files), size), root_of(size)))
    assert caught.value.path == path


def test_a_full_tile_serves_where_the_partial_one_is_gone() -> None:
    files = {**made(300), **FILES[513]}
    del files["tile/0/001.p/44"], files["tile/entries/001.p/44"]
    source = tiles.Tiles(read_from(files), 300)
    assert merkle.tree_root(300, source) == root_of(300)
    assert len(list(tiles.checked_entries(source, root_of(300)))) == 300


def test_entries_of_another_tree_do_not_pass_under_a_root() -> None:
    with pytest.raises(tiles.TileFault, match="not the root"):
        list(tiles.checked_entries(tiles.Tiles(read_from(FILES[257]), 257), root_of(256)))
