"""The Merkle tree of RFC 6962 and RFC 9162: hashes, roots, and proofs built and checked.

Nothing here reads or writes: a proof is a list of ranges, and a reader hands in the hashes of the
complete subtrees that they are made of. docs/concepts/log.md explains the tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = tuple[int, int]
"""(level, index): the complete subtree over leaves index·2^level … (index + 1)·2^level."""

ReadHashes = Callable[[Sequence[Node]], Sequence[bytes]]
"""Gives the hash of each complete subtree asked for, in order."""

Range = tuple[int, int]
"""Leaves from the first number up to, not including, the second."""

_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return _sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The hashes of many leaves, in order."""
    return [_sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return _sha256(b"\x01" + left + right).digest()


def fold(row: bytes) -> bytes:
    """The next level of a row of concatenated hashes; an odd hash at the end is left out."""
    pairs = range(0, len(row) - HASH_BYTES, 2 * HASH_BYTES)
    return b"".join([_sha256(b"\x01" + row[i : i + 64]).digest() for i in pairs])


# A tree that grows: only the roots of its complete subtrees are kept.


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves as the hashes of its complete subtrees, the largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        return _join(self.peaks) if self.peaks else EMPTY_ROOT


def extend(frontier: Frontier, leaf_hashes: Iterable[bytes]) -> Frontier:
    """The frontier after `leaf_hashes` were appended, in order."""
    size, peaks = frontier.size, list(frontier.peaks)
    for node in leaf_hashes:
        carry, size = size, size + 1
        while carry & 1:
            node = _sha256(b"\x01" + peaks.pop() + node).digest()
            carry >>= 1
        peaks.append(node)
    return Frontier(size, tuple(peaks))


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The Merkle tree hash over leaves whose hashes are given."""
    return extend(Frontier(), leaf_hashes).root()


def root_of_rows(rows: Iterable[bytes]) -> bytes:
    """The Merkle tree hash over `rows`, each one leaf."""
    return root(_sha256(b"\x00" + row).digest() for row in rows)


def _join(hashes: Sequence[bytes]) -> bytes:
    """The hash of a range from its complete subtrees, from left to right."""
    whole = hashes[-1]
    for left in reversed(hashes[:-1]):
        whole = node_hash(left, whole)
    return whole


# Which ranges a proof consists of.


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def subtrees(start: int, end: int) -> list[Node]:
    """The complete subtrees, from left to right, of a range as it occurs in a tree."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """RFC 9162, 2.1.3.1: the siblings of leaf `index` from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """RFC 9162, 2.1.4.1: what shows that the tree of `size` extends that of `old` leaves.

    Size 0 raises ValueError: every tree extends the empty one, so there is nothing to show.
    """
    if not 0 < old <= size:
        raise ValueError(f"no consistency proof from size {old} to size {size}")
    ranges, start, end = [], 0, size
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


# Roots and proofs, from a reader of hashes.


def tree_root(size: int, read: ReadHashes) -> bytes:
    """The root of the tree of `size` leaves."""
    return _hashes([(0, size)], read)[0] if size else EMPTY_ROOT


def frontier(size: int, read: ReadHashes) -> Frontier:
    """The frontier of the tree of `size` leaves, to append to."""
    return Frontier(size, tuple(read(subtrees(0, size))))


def inclusion_proof(index: int, size: int, read: ReadHashes) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size`; another index raises ValueError."""
    return _hashes(inclusion_ranges(index, size), read)


def consistency_proof(old: int, size: int, read: ReadHashes) -> list[bytes]:
    """The proof that the tree of `size` extends that of `old`; 0 raises ValueError."""
    return _hashes(consistency_ranges(old, size), read)


def _hashes(ranges: Sequence[Range], read: ReadHashes) -> list[bytes]:
    parts = [subtrees(start, end) for start, end in ranges]
    hashes = iter(read([node for nodes in parts for node in nodes]))
    return [_join([next(hashes) for _ in nodes]) for nodes in parts]


def reader(leaf_hashes: Sequence[bytes]) -> ReadHashes:
    """A reader over leaves in memory. It holds every level: for lists, not for whole logs."""
    levels = [b"".join(leaf_hashes)]
    while len(levels[-1]) > HASH_BYTES:
        levels.append(fold(levels[-1]))

    def read(nodes: Sequence[Node]) -> list[bytes]:
        return [levels[level][index * 32 : index * 32 + 32] for level, index in nodes]

    return read


# Checking proofs.


def includes(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf hash `leaf` at `index` under `root`: RFC 9162, 2.1.3.2."""
    if not 0 <= index < size or any(len(item) != HASH_BYTES for item in (leaf, root, *proof)):
        return False
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


def extends(*, old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Whether `proof` shows that tree `size` extends tree `old`: RFC 9162, 2.1.4.2.

    From size 0 nothing can be shown, so the answer is no.
    """
    if not 0 < old <= size or any(len(item) != HASH_BYTES for item in (old_root, root, *proof)):
        return False
    if old == size:
        return not proof and old_root == root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    position, last = old - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    return _climb(position, last, path) == (old_root, root)


def _climb(position: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that a consistency path leads to; None where it does not end."""
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        position, last = position >> 1, last >> 1
    return (older, newer) if last == 0 else None
