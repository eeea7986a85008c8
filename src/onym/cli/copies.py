"""The copies of our log and what each shows: files somewhere, or what a witness has cosigned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onym.cli import verify
from onym.core.errors import Refusal
from onym.flows import log
from onym.ports.witness import Witness
from onym.queries import log as queries
from onym.tlog import checkpoint, merkle, tiles


class NotShown(Refusal):
    status, code, title = 409, "checkpoint_missing", "A later checkpoint may be out"


class Copy:
    """A copy of our log: its checkpoint must be signed by our own key."""

    def __init__(self, place: str, read: tiles.Read, own: checkpoint.Verifier) -> None:
        self.place, self._read = place, read
        self.head: checkpoint.Checkpoint | None = None
        try:
            self.head = checkpoint.verify(read(tiles.CHECKPOINT), log=own)
        except FileNotFoundError:
            return
        except checkpoint.Unverified as fault:
            raise NotShown(f"{place}: {fault}") from fault
        except verify.Unreadable as fault:
            raise NotShown(str(fault)) from fault

    @property
    def size(self) -> int:
        return self.head.size if self.head else 0

    def entries(self) -> Iterator[bytes]:
        """Every entry, checked on the way against the signed root; TileFault where one is lost."""
        if self.head is None:
            return
        source = tiles.Tiles(self._read, self.head.size)
        for _, entry in tiles.checked_entries(source, self.head.root):
            yield entry

    def is_whole(self) -> bool:
        """Can every entry be read?"""
        try:
            return all(True for _ in self.entries())
        except (tiles.TileFault, verify.Unreadable):
            return False

    def extends(self, head: checkpoint.Checkpoint) -> bool:
        """Is the tree of `head` the beginning of this one? False where this one is shorter."""
        if self.head is None or head.size > self.size:
            return False
        source = tiles.Tiles(self._read, self.size)
        path = merkle.consistency_proof(head.size, self.size, source)
        return merkle.extends(
            old=head.size,
            size=self.size,
            proof=path,
            old_root=head.root,
            root=self.head.root,
        )


def own() -> Copy:
    """The files in DATA/log."""
    folder = log.directory()
    return Copy(str(folder), tiles.directory(folder), log.signer().verifier)


def named(places: Iterable[str]) -> list[Copy]:
    """The copies that we were shown; each a URL or a directory."""
    key = log.signer().verifier
    return [Copy(place, verify.reader(place), key) for place in places]


def cosigned(
    head: checkpoint.Checkpoint, witnesses: Iterable[Witness], absent: tuple[str, ...]
) -> Iterator[tuple[str, int]]:
    """(name, size) of the witnesses that have cosigned another checkpoint, not before `head`'s.

    One that does not answer and is not named in `absent` refuses `checkpoint_missing`.
    """
    for witness in witnesses:
        name = witness.key.name
        if name in absent:
            continue
        said = witness.add_checkpoint(queries.submission_of(head))
        if said.status not in (200, 409):
            raise NotShown(
                f"the witness {name} does not say how far it has cosigned ({said.status}); "
                f"ask it again, or go on with --without-witness {name}"
            )
        if said.status == 409 and (size := _size(name, said.text)) >= head.size:
            yield name, size


def _size(name: str, text: str) -> int:
    try:
        return checkpoint.decimal(text.strip())
    except checkpoint.Unverified as fault:
        raise NotShown(f"the witness {name} answers no size: {fault}") from fault
