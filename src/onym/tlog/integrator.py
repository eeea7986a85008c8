"""The one writer of a log's files: entries become leaves, in order, and a checkpoint signs them.

It persists, then signs: a checkpoint stands in the directory only once everything under it is on
disk, and no size is ever signed with two roots. docs/concepts/log.md explains what it refuses.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from onym.tlog import checkpoint, merkle, tiles

_THREADS = 16
_GROUP = 256
"""So many files are written before they are flushed together."""


class CannotSign(Exception):
    """What was handed in and what was published before cannot both be true: nothing is signed."""


def append(
    log_dir: Path, entries: Sequence[bytes], signer: checkpoint.Signer, *, first: int
) -> checkpoint.Checkpoint:
    """Write `entries` as leaves `first`, `first` + 1, … and sign the tree that then is.

    The caller numbers the rows for good before it calls, so that a retry after a crash hands in
    the same entries under the same numbers: those already there are compared, not written twice.
    CannotSign: the directory is ahead of the caller (a restored backup) or behind it, a leaf
    differs from the published one, the checkpoint there is another key's, or the tiles do not give
    its root. ValueError: an entry is longer than 65,535 bytes. OSError: nothing was signed.
    """
    if any(len(entry) > tiles.MAX_ENTRY_BYTES for entry in entries):
        raise ValueError("an entry is longer than 65,535 bytes")
    log_dir.mkdir(parents=True, exist_ok=True)
    with _alone(log_dir):
        expect_free(log_dir)
        last = head(log_dir, signer.verifier)
        fresh = _fresh(log_dir, last, entries, first)
        if last and not fresh:
            return last
        edge = _edge(log_dir, last)
        filled = _write(log_dir, edge, fresh)
        signed = checkpoint.sign(
            origin=signer.name, size=edge.size, root=edge.root(), signers=[signer]
        )
        if last is None:
            replace(log_dir, "key", str(signer.verifier).encode())
        replace(log_dir, tiles.CHECKPOINT, signed.note)
        for path in filled:
            shutil.rmtree(log_dir / f"{path}.p", ignore_errors=True)
        return signed


def head(log_dir: Path, log: checkpoint.Verifier) -> checkpoint.Checkpoint | None:
    """The last checkpoint in the directory, None before the first; CannotSign if it is not ours."""
    try:
        note = (log_dir / tiles.CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return checkpoint.verify(note, log=log)
    except checkpoint.Unverified as fault:
        raise CannotSign(f"the checkpoint in {log_dir} is not by this log: {fault}") from fault


HELD = ".restored"
HOLDS = (
    "log_held: the database was restored from a backup, and a later checkpoint may be out: "
    "nothing is signed until `onym log resume` has looked for it"
)


def held(log_dir: Path) -> str | None:
    """What was written when the log was held after a restore; None when it may sign."""
    try:
        return (log_dir / HELD).read_text()
    except FileNotFoundError:
        return None


def expect_free(log_dir: Path) -> None:
    """CannotSign (`log_held`) after a restore, until `free`."""
    if held(log_dir) is not None:
        raise CannotSign(HOLDS)


def hold(log_dir: Path, told: str) -> None:
    """Let nothing be signed until `free`; on disk when this returns."""
    replace(log_dir, HELD, told.encode())


def free(log_dir: Path) -> None:
    """Signing goes on."""
    (log_dir / HELD).unlink(missing_ok=True)
    if log_dir.exists():
        sync_folder(log_dir)


def begin(log_dir: Path, signer: checkpoint.Signer, *, size: int, root: bytes) -> None:
    """Let `signer` go on from the tree that stands here: of `size` leaves under `root`.

    The caller answers for it that the tree is whole and that the key before signs no more.
    """
    with _alone(log_dir):
        signed = checkpoint.sign(origin=signer.name, size=size, root=root, signers=[signer])
        replace(log_dir, "key", str(signer.verifier).encode())
        replace(log_dir, tiles.CHECKPOINT, signed.note)


def cosign(log_dir: Path, log: checkpoint.Verifier, *, size: int, lines: str) -> bool:
    """Put witnesses' signature `lines` under the checkpoint; False once another size is out."""
    with _alone(log_dir):
        last = head(log_dir, log)
        if last is None or last.size != size:
            return False
        replace(log_dir, tiles.CHECKPOINT, checkpoint.with_signatures(last.note, lines))
        return True


def _fresh(
    log_dir: Path, last: checkpoint.Checkpoint | None, entries: Sequence[bytes], first: int
) -> Sequence[bytes]:
    """What of `entries` is not published yet; what is must be equal to what is published."""
    size = last.size if last else 0
    if first > size:
        raise CannotSign(f"the log's files end at leaf {size}, the entries begin at leaf {first}")
    if first + len(entries) < size:
        raise CannotSign(
            f"{size} leaves are published, but only {first + len(entries)} are known here:"
            " the database was restored to a time before the last checkpoint"
        )
    published = tiles.Tiles(tiles.directory(log_dir), size)
    for leaf in range(first, size):
        (known,) = published([(0, leaf)])
        if merkle.leaf_hash(entries[leaf - first]) != known:
            raise CannotSign(f"leaf {leaf} is published with another content")
    return entries[size - first :]


def _edge(log_dir: Path, last: checkpoint.Checkpoint | None) -> tiles.Edge:
    """Where the published tree ends, checked against the root that was signed."""
    if last is None:
        return tiles.Edge()
    try:
        edge = tiles.Edge.of(tiles.Tiles(tiles.directory(log_dir), last.size))
    except tiles.TileFault as fault:
        raise CannotSign(f"the published tree cannot be read: {fault}") from fault
    if edge.root() != last.root:
        raise CannotSign(f"the tiles do not give the root that was signed for size {last.size}")
    return edge


def _write(log_dir: Path, edge: tiles.Edge, entries: Sequence[bytes]) -> list[str]:
    """Write entries and tiles, all of them on disk at the end; the paths that became full."""
    filled: list[str] = []
    shutil.rmtree(log_dir / ".new", ignore_errors=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        files = _Files(log_dir, pool)
        for path, data, full in _files(log_dir, edge, entries):
            files.put(path, data)
            if full:
                filled.append(path)
        files.settle()
    return filled


def _files(
    log_dir: Path, edge: tiles.Edge, entries: Sequence[bytes]
) -> Iterator[tuple[str, bytes, bool]]:
    """Each file of the tree once `entries` are appended: path, bytes, whether it is full."""
    begun = _begun(log_dir, edge)
    at = 0
    while at < len(entries):
        index = edge.size // tiles.WIDTH
        some = entries[at : at + tiles.WIDTH - edge.size % tiles.WIDTH]
        at += len(some)
        begun += tiles.bundle(some)
        for level, number, data in edge.add(merkle.leaf_hashes(some)):
            yield tiles.tile_path(level, number), data, True
        width = edge.size % tiles.WIDTH or tiles.WIDTH
        yield tiles.entries_path(index, width), begun, width == tiles.WIDTH
        begun = b""
    for level, number, data in edge.partial():
        yield tiles.tile_path(level, number, len(data) // merkle.HASH_BYTES), data, False


def _begun(log_dir: Path, edge: tiles.Edge) -> bytes:
    """The bytes of the bundle that is begun, checked against its leaves."""
    if edge.size % tiles.WIDTH == 0:
        return b""
    published = tiles.Tiles(tiles.directory(log_dir), edge.size)
    try:
        entries = published.bundle(edge.size // tiles.WIDTH)
    except tiles.TileFault as fault:
        raise CannotSign(f"the last entries cannot be read: {fault}") from fault
    if b"".join(merkle.leaf_hashes(entries)) != edge.rows[0]:
        raise CannotSign("the last entries are not those that were signed")
    return tiles.bundle(entries)


class _Files:
    """Files written aside, flushed together, then renamed into place; directories last.

    Flushed by many threads, because a disk takes them at once in little more than one's time.
    """

    def __init__(self, root: Path, pool: Executor) -> None:
        self._root, self._pool = root, pool
        self._aside: list[tuple[int, str]] = []
        self._folders: set[Path] = set()
        (root / ".new").mkdir(exist_ok=True)

    def put(self, path: str, data: bytes) -> None:
        aside = self._root / ".new" / str(len(self._aside))
        self._aside.append((_write_aside(aside, data), path))
        if len(self._aside) == _GROUP:
            self._flush()

    def settle(self) -> None:
        """Everything put is on disk under its name once this returns."""
        self._flush()
        list(self._pool.map(sync_folder, self._folders))

    def _flush(self) -> None:
        # Write-back begins for all before one is waited for, and every flush comes before the
        # first rename: in between they would each cost the file system a commit of its own.
        for number, _ in self._aside:
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        numbers = [number for number, _ in self._aside]
        list(self._pool.map(_sync, [numbers[n::_THREADS] for n in range(_THREADS)]))
        for place, (_, path) in enumerate(self._aside):
            target = self._root / path
            if target.parent not in self._folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._folders.update(_up_to(target.parent, self._root))
            os.rename(self._root / ".new" / str(place), target)
        self._aside.clear()


def _write_aside(path: Path, data: bytes) -> int:
    """The open file."""
    number = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(number, view) :]
    except BaseException:
        os.close(number)
        raise
    return number


def _sync(numbers: Sequence[int]) -> None:
    """Flush these files and close them all, also when one cannot be flushed."""
    try:
        for number in numbers:
            os.fsync(number)
    finally:
        for number in numbers:
            os.close(number)


def _up_to(folder: Path, root: Path) -> list[Path]:
    """`folder` and what is above it, down from `root`: a new name is durable with its folder."""
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def replace(log_dir: Path, name: str, data: bytes) -> None:
    """Replace one file as a whole, on disk when this returns."""
    aside = log_dir / f".{name}.aside"
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, log_dir / name)
    sync_folder(log_dir)


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on disk when this returns."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _alone(log_dir: Path) -> Iterator[None]:
    """One writer a directory, whoever else believes to be it."""
    with (log_dir / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
