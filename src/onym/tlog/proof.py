"""Receipts: C2SP tlog-proof files, which show without any network that an entry is in the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from onym.tlog import checkpoint, merkle, tiles

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PATH = 63
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Proof:
    """Leaf `index`, its inclusion path and the signed checkpoint; `extra` is not authenticated.

    Onym puts the bytes of the entry into `extra`: they prove themselves, since they must hash to
    the leaf.
    """

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """What the file says, nothing checked; unreadable files raise Unverified."""
        if len(data) > _MAX_BYTES:
            raise checkpoint.Unverified("the proof is too long")
        above, gap, note = data.partition(b"\n\n")
        try:
            lines = above.decode("ascii").split("\n")
        except UnicodeDecodeError as fault:
            raise checkpoint.Unverified("not a proof") from fault
        if not gap or lines.pop(0) != _HEADER:
            raise checkpoint.Unverified(f"a proof begins with {_HEADER}")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = checkpoint.decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise checkpoint.Unverified("a proof names the index of its leaf")
        index = checkpoint.decimal(lines.pop(0).removeprefix("index "))
        path = tuple(checkpoint.decode_base64(line) for line in lines)
        if len(path) > _MAX_PATH or any(len(item) != merkle.HASH_BYTES for item in path):
            raise checkpoint.Unverified("the path of the proof is not one of hashes")
        return cls(index, path, note, extra)

    def encode(self) -> bytes:
        lines = [_HEADER]
        if self.extra:
            lines.append(f"extra {checkpoint.encode_base64(self.extra)}")
        lines += [f"index {self.index}", *map(checkpoint.encode_base64, self.path)]
        return "\n".join(lines).encode() + b"\n\n" + self.note


def build(*, index: int, note: bytes, read: tiles.Read) -> Proof:
    """The proof for leaf `index` under the signed checkpoint `note`, with its entry in `extra`.

    Raises ValueError for a leaf that the checkpoint does not cover yet, TileFault and Unverified
    where the files do not show it: a receipt is checked before it is handed out.
    """
    head = checkpoint.Checkpoint.parse(note)
    source = tiles.Tiles(read, head.size)
    path = merkle.inclusion_proof(index, head.size, source)
    entry = tiles.entry(source, index)
    proof = Proof(index, tuple(path), note, entry)
    _expect(proof, head, entry)
    return proof


def verify(
    data: bytes,
    *,
    log: checkpoint.Verifier,
    entry: bytes | None = None,
    witnesses: Sequence[checkpoint.Verifier] = (),
) -> tuple[Proof, checkpoint.Checkpoint, bytes]:
    """The proof, its checkpoint and its entry, once all of it holds; else raises Unverified.

    `entry` defaults to the one in the file. With `witnesses`, each of them must have cosigned.
    """
    proof = Proof.parse(data)
    head = checkpoint.verify(proof.note, log=log)
    missing = {witness.name for witness in witnesses}
    missing -= set(checkpoint.cosignatures(proof.note, witnesses))
    if missing:
        raise checkpoint.Unverified(f"not cosigned by {', '.join(sorted(missing))}")
    entry = proof.extra if entry is None else entry
    _expect(proof, head, entry)
    return proof, head, entry


def _expect(proof: Proof, head: checkpoint.Checkpoint, entry: bytes) -> None:
    leaf = merkle.leaf_hash(entry)
    if not merkle.includes(
        leaf=leaf, index=proof.index, size=head.size, proof=proof.path, root=head.root
    ):
        raise checkpoint.Unverified(f"leaf {proof.index} is not shown to be in the tree")
