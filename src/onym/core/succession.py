"""The succession of logs: where one that lost leaves ended, and which one goes on in its place.

It is a leaf of the successor, and the same entry as a note that both keys have signed, for those
who know only the older key. docs/concepts/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onym.core import events
from onym.core.events import Event
from onym.tlog import checkpoint
from onym.tlog.checkpoint import Checkpoint, Signer, Unverified, Verifier

TYPE = "LogSucceeded"
FILE = "succession"
"""The note's name under the prefix of either log."""

_FIRST = "onym/log-succession/v1"


@dataclass(frozen=True, slots=True)
class Succession:
    """`old` ended with `count` leaves under `root`, and `new` carries them on, each in its place.

    `seen` leaves had been published, as far as anybody could show; `seen_root` is their root where
    a checkpoint of that size was shown.
    """

    old: Verifier
    new: Verifier
    count: int
    root: bytes
    seen: int
    seen_root: bytes | None

    def missing(self, leaf: int) -> int:
        """How many leaves are lost at the least, when it stands in `leaf` of the successor."""
        return max(self.seen - leaf, 0)


def event(*, ref: str, old: Verifier, new: Verifier, last: Checkpoint, seen: Checkpoint) -> Event:
    """The fact, as it enters the successor; `last` is the predecessor's, `seen` the furthest.

    A `seen` without a root is what a witness has said.
    """
    body = {
        "key": str(new),
        "previous_key": str(old),
        "count": last.size,
        "root": last.root.hex(),
        "seen": seen.size,
    }
    return Event(TYPE, ref, body | ({"seen_root": seen.root.hex()} if seen.root else {}))


def parse(entry: bytes) -> Succession:
    """What the leaf says; ValueError where it is another or makes no sense."""
    told = events.read(entry)
    if told.type != TYPE or (why := events.misfit(told)):
        raise ValueError(f"not a {TYPE}" if told.type != TYPE else why)
    body = told.body
    try:
        old, new = Verifier.parse(body["previous_key"]), Verifier.parse(body["key"])
    except Unverified as fault:
        raise ValueError(f"{TYPE}: {fault}") from fault
    if old.name == new.name or old.key == new.key:
        raise ValueError(f"{TYPE}: a successor has an origin and a key of its own")
    seen_root = bytes.fromhex(body["seen_root"]) if "seen_root" in body else None
    root = bytes.fromhex(body["root"])
    return Succession(old, new, body["count"], root, body["seen"], seen_root)


def note(entry: bytes, signers: Sequence[Signer]) -> bytes:
    """The entry, signed by each; its first line keeps it from being read as a checkpoint."""
    text = f"{_FIRST}\n{entry.decode()}\n"
    return f"{text}\n{''.join(signer.sign(text) for signer in signers)}".encode()


def read(signed: bytes) -> tuple[Succession, bytes]:
    """(what it says, the entry), once the predecessor's key has signed it; else Unverified."""
    parsed = checkpoint.Note.parse(signed)
    first, _, entry = parsed.text[:-1].partition("\n")
    if first != _FIRST:
        raise Unverified(f"a succession begins with {_FIRST}")
    try:
        told = parse(entry.encode())
    except ValueError as fault:
        raise Unverified(str(fault)) from fault
    if not parsed.signers([told.old]):
        raise Unverified(f"the succession is not signed by {told.old.name}")
    return told, entry.encode()


def place(old: Verifier) -> str:
    """The prefix, under the successor's, of what is left of the log that `old` signed."""
    return f"ended/{old.id.hex()}"
