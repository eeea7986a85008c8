"""A witness as in C2SP tlog-witness: it cosigns a log's checkpoint only if it extends the last one.

So a log that shows different trees to different people must do so without its witnesses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onym.tlog import checkpoint, merkle

MAX_BODY_BYTES = 64 * 1024
_MAX_PROOF = 63


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: 200 with cosignature lines, or a refusal."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint handed in, with the consistency proof from the size last cosigned."""

    old: int
    proof: tuple[bytes, ...]
    head: checkpoint.Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The body of an add-checkpoint request; a malformed one raises Unverified."""
        above, gap, note = body.partition(b"\n\n")
        try:
            lines = above.decode("ascii").split("\n")
        except UnicodeDecodeError as fault:
            raise checkpoint.Unverified("not ASCII above the checkpoint") from fault
        if not gap or not lines[0].startswith("old "):
            raise checkpoint.Unverified("a request begins with the old size")
        old = checkpoint.decimal(lines[0].removeprefix("old "))
        proof = tuple(checkpoint.decode_base64(line) for line in lines[1:])
        if len(proof) > _MAX_PROOF or any(len(item) != merkle.HASH_BYTES for item in proof):
            raise checkpoint.Unverified("the proof is not one of hashes")
        head = checkpoint.Checkpoint.parse(note)
        if old > head.size:
            raise checkpoint.Unverified("the old size is above that of the checkpoint")
        return cls(old, proof, head)

    def encode(self) -> bytes:
        lines = [f"old {self.old}", *map(checkpoint.encode_base64, self.proof)]
        return "\n".join(lines).encode() + b"\n\n" + self.head.note


def add_checkpoint(
    body: bytes,
    *,
    logs: Mapping[str, Sequence[checkpoint.Verifier]],
    state: Path,
    signer: checkpoint.Signer,
    seconds: int,
) -> Answer:
    """Answer one request: 200, 400, 403, 404, 409 with the size last cosigned, or 422.

    `logs` gives the keys trusted for each origin, `seconds` the time since 1970. What is cosigned
    is on disk in `state` before the answer; comparing and storing are one step per origin.
    """
    try:
        submitted = Submission.parse(body)
    except checkpoint.Unverified as fault:
        return Answer(400, f"{fault}\n")
    head = submitted.head
    if head.origin not in logs:
        return Answer(404, "this log is not witnessed here\n")
    if not _trusted(head, logs[head.origin]):
        return Answer(403, "no signature by a key that is trusted for this log\n")
    with _record(state, head.origin) as path:
        last = _last(path)
        refusal = _refusal(submitted, last)
        if refusal:
            return refusal
        _store(path, head.note)
    return Answer(200, signer.sign(_text(head), seconds=seconds))


def _text(head: checkpoint.Checkpoint) -> str:
    return checkpoint.Note.parse(head.note).text


def _trusted(head: checkpoint.Checkpoint, keys: Sequence[checkpoint.Verifier]) -> bool:
    try:
        return bool(checkpoint.Note.parse(head.note).signers(keys))
    except checkpoint.Unverified:
        return False


def _refusal(submitted: Submission, last: checkpoint.Checkpoint | None) -> Answer | None:
    """Why this checkpoint does not follow the last one cosigned, None if it does."""
    old, head = submitted.old, submitted.head
    size = last.size if last else 0
    root = last.root if last else merkle.EMPTY_ROOT
    if old != size or (old == head.size and head.root != root):
        return Answer(409, f"{size}\n", "text/x.tlog.size")
    if old == 0 or old == head.size:
        # Every tree extends the empty one and itself: there is nothing to show.
        follows = not submitted.proof
    else:
        follows = merkle.extends(
            old=old, size=head.size, proof=submitted.proof, old_root=root, root=head.root
        )
    return None if follows else Answer(422, "the consistency proof does not hold\n")


@contextmanager
def _record(state: Path, origin: str) -> Iterator[Path]:
    """The file that holds the last checkpoint of `origin`, for one request at a time."""
    state.mkdir(parents=True, exist_ok=True)
    path = state / hashlib.sha256(origin.encode()).hexdigest()
    with path.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


def _last(path: Path) -> checkpoint.Checkpoint | None:
    try:
        return checkpoint.Checkpoint.parse(path.read_bytes())
    except FileNotFoundError:
        return None


def _store(path: Path, note: bytes) -> None:
    aside = path.with_suffix(".new")
    with aside.open("wb") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, path)
    number = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def submission(*, head: checkpoint.Checkpoint, old: int, read: merkle.ReadHashes) -> Submission:
    """What a log sends to a witness that last cosigned size `old`."""
    proof = merkle.consistency_proof(old, head.size, read) if 0 < old < head.size else []
    return Submission(old, tuple(proof), head)
