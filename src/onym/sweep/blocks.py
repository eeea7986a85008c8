"""Sorted rows in small compressed blocks, found by binary search: look-ups without an engine.

A web process reads these files through memory maps, so a look-up costs one block and no library
(docs/reference/account-table.md gives the layout).
"""

from __future__ import annotations

import bisect
import functools
import mmap
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from onym.core import errors
from onym.tlog import merkle

LEVEL = 7  # a full block is a complete Merkle subtree of this height
ROWS = 1 << LEVEL
CACHED = 64  # blocks that a reader keeps open, of about 40 kB each
MAGIC = b"onymblk1"
_TAIL = struct.Struct("<QQQQQ8s")  # rows, blocks, starts at, keys at, tree at, MAGIC
_AT_ONCE = 256  # blocks compressed side by side
_FOLDED = 1 << 20  # hashes folded at a time

Seal = Callable[[bytes], bytes]


def write(
    path: Path, rows: Iterable[bytes], *, tree: bool = False, seal: Seal | None = None
) -> int:
    """Write `rows`, which come sorted and hold no line end, and answer how many there were.

    A row is a key, a tab and what is known of it; keys differ. With `tree` the Merkle hashes over
    the keys stand beside them; `seal` hides each block. The file is on the disk when this returns.
    """
    starts, keys, ends = array("Q"), bytearray(), array("Q")
    nodes, count = bytearray(), 0
    with path.open("wb") as out, ThreadPoolExecutor(os.cpu_count()) as workers:
        parts = _parts(rows)
        while some := list(islice(parts, _AT_ONCE)):
            for part, packed in zip(some, workers.map(_pack, some), strict=True):
                starts.append(out.tell())
                keys += key_of(part[0])
                ends.append(len(keys))
                nodes += _node(part) if tree else b""
                count += len(part)
                out.write(seal(packed) if seal else packed)
        places = [out.tell()]
        for section in (_numbers([*starts, *ends]), bytes(keys)):
            out.write(section)
            places.append(out.tell())
        _write_levels(out.write, bytes(nodes))
        out.write(_TAIL.pack(count, len(starts), *places, MAGIC))
        out.flush()
        os.fsync(out.fileno())
    return count


def _numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def key_of(row: bytes) -> bytes:
    return row.partition(b"\t")[0]


def _parts(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(rows)
    while part := list(islice(rest, ROWS)):
        yield part


def _pack(part: Sequence[bytes]) -> bytes:
    return zlib.compress(b"\n".join(part), 1)


def _node(part: Sequence[bytes]) -> bytes:
    """The hash of a full block's subtree; a block that is not full has none."""
    if len(part) < ROWS:
        return b""
    return merkle.root_of_rows(key_of(row) for row in part)


def _write_levels(write: Callable[[bytes], int], nodes: bytes) -> None:
    """The complete subtrees from the blocks up, level after level."""
    while nodes:
        write(nodes)
        step = _FOLDED * merkle.HASH_BYTES
        parts = (nodes[at : at + step] for at in range(0, len(nodes), step))
        nodes = b"".join(merkle.fold(part) for part in parts)


class Blocks:
    """A written file, open for reading; many threads may share one.

    Refuses `malformed` a file that is cut off or no such file.
    """

    def __init__(self, path: Path, *, open_: Seal | None = None) -> None:
        self._name, self._open = path.name, open_
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            tail = _TAIL.unpack(self._map[-_TAIL.size :])
        except (OSError, ValueError, struct.error) as error:
            raise errors.Malformed(f"the snapshot file {path} cannot be read") from error
        self.rows, self.blocks, self._starts, self._keys, self._tree, magic = tail
        if magic != MAGIC or self._tree > len(self._map):
            raise errors.Malformed(f"the snapshot file {path} cannot be read")
        self._read = functools.lru_cache(maxsize=CACHED)(self._unpack)

    def find(self, prefix: bytes) -> tuple[int, bytes] | None:
        """The place and the row of the first key that begins with `prefix`."""
        found = next(self.rows_from(self.place(prefix)), None)
        return found if found and found[1].startswith(prefix) else None

    def place(self, prefix: bytes) -> int:
        """How many keys come before `prefix`."""
        low, high = 0, self.blocks
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._first(middle) < prefix else (low, middle)
        block = max(low - 1, 0)
        return block * ROWS + bisect.bisect_left(self._read(block), prefix) if self.blocks else 0

    def rows_from(self, place: int) -> Iterator[tuple[int, bytes]]:
        """Rows in order from `place` on, each with its place."""
        for block in range(place // ROWS, self.blocks):
            for at, row in enumerate(self._read(block), block * ROWS):
                if at >= place:
                    yield at, row

    def path(self, place: int) -> list[bytes]:
        """The inclusion proof of the key at `place` under the root over all keys."""
        return merkle.inclusion_proof(place, self.rows, self._hashes)

    def root(self) -> bytes:
        """The Merkle root over all keys (RFC 6962), from the hashes that stand in the file."""
        return merkle.tree_root(self.rows, self._hashes)

    def _first(self, block: int) -> bytes:
        return self._map[self._keys + self._key_end(block - 1) : self._keys + self._key_end(block)]

    def _key_end(self, block: int) -> int:
        return self._number(self._starts + 8 * (self.blocks + block)) if block >= 0 else 0

    def _number(self, at: int) -> int:
        return int.from_bytes(self._map[at : at + 8], "little")

    def _unpack(self, block: int) -> list[bytes]:
        start = self._number(self._starts + 8 * block)
        last = block + 1 == self.blocks
        end = self._starts if last else self._number(self._starts + 8 * (block + 1))
        packed = self._map[start:end]
        return zlib.decompress(self._open(packed) if self._open else packed).split(b"\n")

    def _hashes(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        return [self._hash(level, index) for level, index in nodes]

    def _hash(self, level: int, index: int) -> bytes:
        if level < LEVEL:
            first = (index << level) % ROWS
            block = self._read((index << level) // ROWS)
            return merkle.root_of_rows(key_of(row) for row in block[first : first + (1 << level)])
        full = self.rows // ROWS
        above = sum(full >> height for height in range(level - LEVEL))
        at = self._tree + merkle.HASH_BYTES * (above + index)
        return self._map[at : at + merkle.HASH_BYTES]
