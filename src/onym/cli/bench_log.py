"""`onym bench log`: leaves written durably beside a tree in memory, and proofs at 100 M leaves."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
import time
from array import array
from pathlib import Path
from statistics import median
from typing import Any

import click

from onym.tlog import checkpoint, integrator, merkle, tiles

ROUNDS = 5
LEAVES = 400 * tiles.WIDTH
ENTRY_BYTES = 300
PROOF_SIZE = 100_000_000
PROOFS = 300
_TRIES = 3
"""A proof counts with its best try: the machine does other things too."""
_GET_FLAGS, _SET_FLAGS, _TOP_OF_TREE = 0x80086601, 0x40086602, 0x00020000
_SEED = 20261120


def run(*, leaves: int = LEAVES, rounds: int = ROUNDS, proofs: int = PROOFS) -> dict[str, Any]:
    """The figures of docs/benchmarks: `ratio_pymerkle` (goal ≥ 2), `proof_ms` (goal ≤ 1).

    Both sides of the ratio run in turn on the same entries, medians over the rounds, roots
    compared. Proofs are from files, with nothing kept between two of them, and each is verified.
    """
    try:
        import pymerkle  # type: ignore[import-untyped]  # it ships no types
    except ModuleNotFoundError as fault:
        raise click.ClickException("this benchmark needs pymerkle (requirements/test)") from fault
    source = random.Random(_SEED)  # noqa: S311 - data to measure with, nothing secret
    entries = [source.randbytes(ENTRY_BYTES) for _ in range(leaves)]
    data = Path(os.environ.get("ONYM_DATA", "data"))
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-log-", dir=data) as name:
        folder = Path(name)
        _spread(folder)
        taken = [
            _round(folder / f"{folder.name}-{n}", entries, pymerkle.InmemoryTree)
            for n in range(rounds)
        ]
        ratios = [memory / durable for durable, memory in taken]
        return {
            "ratio_pymerkle": round(median(ratios), 2),
            "leaves": leaves,
            "entry_bytes": ENTRY_BYTES,
            "durable_per_s": round(leaves / median(durable for durable, _ in taken)),
            "pymerkle_per_s": round(leaves / median(memory for _, memory in taken)),
            "fsync_ms": _fsync_ms(folder),
            **_proofs(folder / "proofs", source, proofs),
        }


def _spread(folder: Path) -> None:
    """Ask ext4 to put each folder made in this one elsewhere on the disk, by its name (chattr +T).

    Without a journal it takes up to a hundred times as long to make a file where many were just
    deleted, and would measure what the run before has cleaned away. Others do not know the flag.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = array("l", [0])
        fcntl.ioctl(number, _GET_FLAGS, flags)
        flags[0] |= _TOP_OF_TREE
        fcntl.ioctl(number, _SET_FLAGS, flags)
    except OSError:
        return
    finally:
        os.close(number)


def _round(folder: Path, entries: list[bytes], make: Any) -> tuple[float, float]:
    """Seconds to write the entries as a signed log on disk, and to put them into pymerkle."""
    signer = checkpoint.Signer("bench.example/log", bytes(32))
    start = time.perf_counter()
    head = integrator.append(folder, entries, signer, first=0)
    durable = time.perf_counter() - start
    tree = make(algorithm="sha256")
    start = time.perf_counter()
    for entry in entries:
        tree.append_entry(entry)
    memory = time.perf_counter() - start
    if tree.get_root() != head.root:
        raise AssertionError("the two trees do not agree")
    return durable, memory


def _fsync_ms(folder: Path) -> float:
    """What one small durable write costs on this disk."""
    taken = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return round(median(taken) * 1000, 3)


def _proofs(folder: Path, source: random.Random, proofs: int) -> dict[str, Any]:
    """Inclusion proofs in a tree of 100 M leaves whose entries repeat every 256 leaves.

    Such a tree is a true one, its full tiles of one level are all equal, and so only the files
    that the proofs read have to be written.
    """
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(tiles.WIDTH)]
    read = _repeating(leaves)
    indexes = [source.randrange(PROOF_SIZE) for _ in range(proofs)]
    root = merkle.tree_root(PROOF_SIZE, tiles.Tiles(read, PROOF_SIZE))
    recorded = _recorded(read, folder)
    for index in indexes:
        merkle.inclusion_proof(index, PROOF_SIZE, tiles.Tiles(recorded, PROOF_SIZE))
    taken = []
    files = tiles.directory(folder)
    for index in indexes:
        seconds = []
        for _ in range(_TRIES):
            start = time.perf_counter()
            proof = merkle.inclusion_proof(index, PROOF_SIZE, tiles.Tiles(files, PROOF_SIZE))
            seconds.append(time.perf_counter() - start)
        taken.append(min(seconds))
        leaf = leaves[index % tiles.WIDTH]
        if not merkle.includes(leaf=leaf, index=index, size=PROOF_SIZE, proof=proof, root=root):
            raise AssertionError(f"the proof of leaf {index} does not verify")
    taken.sort()
    return {
        "proof_ms": round(median(taken) * 1000, 3),
        "proof_p99_ms": round(taken[len(taken) * 99 // 100] * 1000, 3),
        "proof_leaves": PROOF_SIZE,
    }


def _repeating(leaves: list[bytes]) -> tiles.Read:
    """The tiles of a tree whose leaves repeat: one full tile a level serves for all."""
    rows = [b"".join(leaves)]
    while len(rows) < 5:
        edge = tiles.Edge()
        edge.add([rows[-1][at : at + 32] for at in range(0, len(rows[-1]), 32)])
        rows.append(edge.root() * tiles.WIDTH)

    def read(path: str) -> bytes:
        level = int(path.split("/")[1])
        width = int(path.partition(".p/")[2] or tiles.WIDTH)
        return rows[level][: width * merkle.HASH_BYTES]

    return read


def _recorded(read: tiles.Read, folder: Path) -> tiles.Read:
    """`read`, with a copy of each file that it gives under `folder`."""

    def recorded(path: str) -> bytes:
        data = read(path)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        return data

    return recorded
