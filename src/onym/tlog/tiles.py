"""The log as files: tiles of hashes and bundles of entries, as C2SP tlog-tiles names them.

Reading works from a directory or from anything else that gives bytes for a path. What is read is
only as good as the checkpoint it is checked against. docs/concepts/log.md explains the layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

from onym.tlog import merkle

HEIGHT = 8
WIDTH = 256
MAX_ENTRY_BYTES = 65_535
CHECKPOINT = "checkpoint"

Read = Callable[[str], bytes]
"""Gives the bytes at a path under the log's prefix; FileNotFoundError where there are none."""

Tile = tuple[int, int, bytes]
"""Level, index, and the hashes in it."""

_TILE_BYTES = WIDTH * merkle.HASH_BYTES
_NUMBER = r"(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/(?:[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))?"
_FILE = rf"checkpoint|key|witnesses|succession|tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/{_NUMBER}"
_PUBLIC = re.compile(rf"(?:ended/[0-9a-f]{{8}}/)?(?:{_FILE})")


class TileFault(Exception):
    """A tile or bundle that is missing, truncated or wrong. `leaf` is its first leaf."""

    def __init__(self, path: str, why: str, leaf: int) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why, self.leaf = path, why, leaf


def _number(index: int, width: int) -> str:
    digits = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        digits = f"x{index % 1000:03}/{digits}"
    return digits if width == WIDTH else f"{digits}.p/{width}"


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """`tile/<L>/<N>[.p/<W>]`, N in groups of three digits."""
    return f"tile/{level}/{_number(index, width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """`tile/entries/<N>[.p/<W>]`."""
    return f"tile/entries/{_number(index, width)}"


def is_public(path: str) -> bool:
    """Whether `path` under the prefix names something that a log publishes. Nothing else is."""
    return bool(_PUBLIC.fullmatch(path))


def width_at(level: int, index: int, size: int) -> int:
    """How many hashes the tile (level, index) holds in a tree of `size`: 0 … 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def bundle(entries: Sequence[bytes]) -> bytes:
    """Entries as a bundle: each with its length as two bytes, big-endian, before it."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; a cut or overlong one raises ValueError."""
    entries, at = [], 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise ValueError("the bundle ends in the middle of an entry")
        entries.append(data[start:at])
    return entries


def directory(root: Path) -> Read:
    """A reader of the files under `root`; paths that no log publishes are not there."""

    def read(path: str) -> bytes:
        if not is_public(path):
            raise FileNotFoundError(path)
        return (root / path).read_bytes()

    return read


class Tiles:
    """The tiles of the tree of `size` leaves, read on demand and kept while recently used.

    Calling it with nodes gives their hashes, as merkle's proofs need. A missing or truncated tile
    raises TileFault. Hashes are not checked here: whoever reads a proof checks it against a root.
    """

    def __init__(self, read: Read, size: int, *, kept: int = 64) -> None:
        self.size = size
        self._read = read
        self._rows = lru_cache(kept)(self._fold)

    def __call__(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        return [self._hash(level, index) for level, index in nodes]

    def _hash(self, level: int, index: int) -> bytes:
        height, inside = divmod(level, HEIGHT)
        tile, first = divmod(index << inside, WIDTH)
        row = self._rows(height, tile)[inside]
        at = (first >> inside) * merkle.HASH_BYTES
        return row[at : at + merkle.HASH_BYTES]

    def _fold(self, level: int, index: int) -> list[bytes]:
        rows = [self.tile(level, index)]
        while len(rows) < HEIGHT:
            rows.append(merkle.fold(rows[-1]))
        return rows

    def tile(self, level: int, index: int) -> bytes:
        """The bytes of a tile as wide as this tree makes it; the full one serves as well."""
        width = width_at(level, index, self.size)
        first = index << HEIGHT * (level + 1)
        path = tile_path(level, index, width)
        data = _either(self._read, path, tile_path(level, index), first)
        whole = width * merkle.HASH_BYTES
        if len(data) < whole or len(data) % merkle.HASH_BYTES:
            raise TileFault(path, f"truncated: {len(data)} of {whole} bytes", first)
        return data[:whole]

    def bundle(self, index: int) -> list[bytes]:
        """The entries from 256·index on, as many as this tree has there."""
        width = width_at(0, index, self.size)
        path, first = entries_path(index, width), index * WIDTH
        data = _either(self._read, path, entries_path(index), first)
        try:
            entries = unbundle(data)
        except ValueError as fault:
            raise TileFault(path, f"truncated: {fault}", first) from fault
        if len(entries) < width:
            raise TileFault(path, f"truncated: {len(entries)} of {width} entries", first)
        return entries[:width]


def _either(read: Read, path: str, full: str, leaf: int) -> bytes:
    """A partial tile may be gone once the full one is there."""
    for candidate in dict.fromkeys((path, full)):
        try:
            return read(candidate)
        except FileNotFoundError:
            continue
    raise TileFault(path, "missing", leaf)


class Edge:
    """The right edge of a growing tree: for each level the hashes that fill no tile yet."""

    def __init__(self, size: int = 0, rows: Sequence[bytes] = ()) -> None:
        self.size = size
        self.rows = list(rows)

    @classmethod
    def of(cls, tiles: Tiles) -> Self:
        """The edge of a tree that is there already, as its partial tiles show it."""
        size, rows = tiles.size, []
        for level in range(-(-size.bit_length() // HEIGHT)):
            count = size >> HEIGHT * level
            rows.append(tiles.tile(level, count // WIDTH) if count % WIDTH else b"")
        return cls(size, rows)

    def add(self, leaf_hashes: Sequence[bytes]) -> list[Tile]:
        """Append leaves; the tiles that they filled, each level's in order."""
        full: list[Tile] = []
        level, fresh = 0, b"".join(leaf_hashes)
        while fresh:
            if level == len(self.rows):
                self.rows.append(b"")
            row, index = self.rows[level] + fresh, self.size >> HEIGHT * (level + 1)
            whole = len(row) // _TILE_BYTES * _TILE_BYTES
            chunks = [row[at : at + _TILE_BYTES] for at in range(0, whole, _TILE_BYTES)]
            full += [(level, index + i, chunk) for i, chunk in enumerate(chunks)]
            self.rows[level] = row[whole:]
            level, fresh = level + 1, b"".join([_top(chunk) for chunk in chunks])
        self.size += len(leaf_hashes)
        return full

    def partial(self) -> list[Tile]:
        """The tiles that are begun but not full."""
        return [
            (level, self.size >> HEIGHT * (level + 1), row)
            for level, row in enumerate(self.rows)
            if row
        ]

    def root(self) -> bytes:
        peaks: list[bytes] = []
        for row in reversed(self.rows):
            at = 0
            while at < len(row):
                wide = 1 << ((len(row) - at) // merkle.HASH_BYTES).bit_length() - 1
                peaks.append(_top(row[at : at + wide * merkle.HASH_BYTES]))
                at += wide * merkle.HASH_BYTES
        return merkle.Frontier(self.size, tuple(peaks)).root()


def _top(row: bytes) -> bytes:
    """The root over a row whose length is a power of two."""
    while len(row) > merkle.HASH_BYTES:
        row = merkle.fold(row)
    return row


def checked_entries(tiles: Tiles, root: bytes) -> Iterator[tuple[int, bytes]]:
    """Every entry with its leaf index, and every tile checked on the way, up to `root`.

    The tree is computed from the entries alone and compared with each tile as it fills. The first
    difference raises TileFault with the leaf where it begins; so does another root, at the end.
    """
    edge = Edge()
    for index in range(-(-tiles.size // WIDTH)):
        bundle = tiles.bundle(index)
        full = edge.add(merkle.leaf_hashes(bundle))
        last = edge.partial() if edge.size == tiles.size else []
        for tile in (*full, *last):
            _compare(tiles, *tile)
        yield from enumerate(bundle, index * WIDTH)
    if edge.root() != root:
        raise TileFault(CHECKPOINT, "its root is not the root of the entries", 0)


def _compare(tiles: Tiles, level: int, index: int, computed: bytes) -> None:
    served = tiles.tile(level, index)
    for at in range(0, len(computed), merkle.HASH_BYTES):
        if served[at : at + merkle.HASH_BYTES] != computed[at : at + merkle.HASH_BYTES]:
            span = 1 << HEIGHT * level
            leaf = (index * WIDTH + at // merkle.HASH_BYTES) * span
            which = "entry" if level == 0 else f"entries up to leaf {leaf + span - 1}"
            path = tile_path(level, index, len(computed) // merkle.HASH_BYTES)
            raise TileFault(path, f"tile and {which} do not agree", leaf)


def entry(tiles: Tiles, leaf: int) -> bytes:
    """One entry, unchecked."""
    if not 0 <= leaf < tiles.size:
        raise ValueError(f"there is no leaf {leaf} in a log of {tiles.size}")
    return tiles.bundle(leaf // WIDTH)[leaf % WIDTH]
