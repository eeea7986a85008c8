"""A log that lost leaves for good ends, and a successor goes on under a key and origin of its own.

What the old key has signed stays published and it never signs another tree; the leaves that are
known keep their places. Each step may be done again after a crash. docs/guides/backup.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from onym.core import events, succession
from onym.core.errors import Malformed, Refusal
from onym.core.events import Event
from onym.flows import log, resume
from onym.store import bulk, clock
from onym.store.models import Event as EventRow
from onym.tlog import checkpoint, integrator, tiles

NEXT = "log.next"


class LogCanSign(Refusal):
    """Only a log that cannot go on may end."""

    status, code, title = 409, "log_can_sign", "Nothing is lost: the log can sign"


@dataclass(frozen=True, slots=True)
class Ended:
    """The keys before and after, the leaf that says so, and what is known to be lost."""

    key: str
    previous_key: str
    leaf: int
    missing: int
    size: int


def end(*, origin: str, seen: checkpoint.Checkpoint | None, published: Iterable[bytes]) -> Ended:
    """End the log and begin its successor as `origin`; `seen` is what was published beyond it.

    `published` are all entries of the files in DATA/log, checked by the caller: what of them the
    database lacks is brought back. Then the fact gets the next place in one transaction, the old
    files are set aside below the log's prefix, the new key signs the same tree, and last the key is
    replaced. Refuses `log_can_sign`, `malformed` for an origin that was used, `log_forked`.
    """
    with log.alone():
        old = log.signer()
        row = _told(old.verifier) or _begin(old, origin=origin, seen=seen, published=published)
        entry, leaf = bytes(row.entry), row.leaf_index or 0
        told = succession.parse(entry)
        _set_aside(old, entry)
        _hand_over(old, told, entry)
    missing = told.missing(leaf)
    return Ended(str(told.new), str(told.old), leaf, missing, log.integrate())


def is_under_way() -> bool:
    """Was the end of our log written down, but not finished? Then `end` only goes on."""
    return _told(log.signer().verifier) is not None


def _told(old: checkpoint.Verifier) -> EventRow | None:
    """The row that says that the log of `old` ended, when that was begun already."""
    rows = EventRow.objects.filter(type=succession.TYPE)
    return next((row for row in rows if succession.parse(bytes(row.entry)).old == old), None)


def _begin(
    old: checkpoint.Signer,
    *,
    origin: str,
    seen: checkpoint.Checkpoint | None,
    published: Iterable[bytes],
) -> EventRow:
    folder = log.directory()
    if (heir := log.successor()) is not None:
        raise resume.LogEnded(log.ended(heir))
    last = integrator.head(folder, old.verifier)
    if last is None or not _is_broken(folder, last, seen):
        raise LogCanSign("a log ends only when leaves of it are lost")
    _expect_fresh(origin, old.name)
    new = checkpoint.Signer(origin, os.urandom(32))
    if integrator.held(folder) is None:
        integrator.hold(folder, "{}")
    log.write_key(_next(), new)
    with transaction.atomic():
        resume.bring_back(published)
        fact = succession.event(
            ref=settings.NAMESPACE,
            old=old.verifier,
            new=new.verifier,
            last=last,
            seen=last if seen is None else seen,
        )
        return _placed(fact)


def _is_broken(
    folder: Path, last: checkpoint.Checkpoint, seen: checkpoint.Checkpoint | None
) -> bool:
    is_held = integrator.held(folder) is not None
    return is_held or seen is not None or log.numbered() < last.size


def _expect_fresh(origin: str, old: str) -> None:
    rows = EventRow.objects.filter(type=succession.TYPE)
    used = {succession.parse(bytes(row.entry)).old.name for row in rows} | {old}
    if origin in used:
        raise Malformed(f"a log has signed as {origin} already: a successor needs another origin")


def _placed(fact: Event) -> EventRow:
    """The row of the fact, in the first place that was never given: nobody waits before it."""
    now, leaf = clock.now(), log.numbered()
    sealed = events.seal(
        fact, namespace=settings.NAMESPACE, at=now, salt=lambda: os.urandom(events.SALT_BYTES)
    )
    bulk.insert(EventRow, [resume.row_of(leaf, sealed.entry)])
    return EventRow.objects.get(leaf_index=leaf)


# Files.


def _link(path: Path, target: Path) -> Path:
    """The folder that it now stands in, too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    os.link(path, target)
    return target.parent


def _next() -> Path:
    return Path(settings.DATA) / "keys" / NEXT


def _set_aside(old: checkpoint.Signer, entry: bytes) -> None:
    """The old log's files under a prefix of their own, the checkpoint last; both keys' word."""
    folder = log.directory()
    aside = folder / succession.place(old.verifier)
    if (aside / tiles.CHECKPOINT).exists():
        return
    folders = {_link(path, aside / path.relative_to(folder)) for path in _public(folder)}
    for fresh in folders | {above for one in folders for above in one.relative_to(folder).parents}:
        integrator.sync_folder(folder / fresh)
    integrator.replace(aside, succession.FILE, _note(old, entry))
    integrator.sync_folder(_link(folder / tiles.CHECKPOINT, aside / tiles.CHECKPOINT))


def _public(folder: Path) -> Iterator[Path]:
    """What the log publishes, its checkpoint and what stands aside apart."""
    names = [folder / name for name in ("key", "witnesses")]
    yield from (path for path in names if path.exists())
    yield from (path for path in (folder / "tile").rglob("*") if path.is_file())


def _note(old: checkpoint.Signer, entry: bytes) -> bytes:
    return succession.note(entry, [old, checkpoint.Signer.parse(_next().read_text().strip())])


def _hand_over(old: checkpoint.Signer, told: succession.Succession, entry: bytes) -> None:
    """The new key signs the tree as it stands; the key itself is replaced last."""
    folder, keys = log.directory(), _next().parent
    new = checkpoint.Signer.parse(_next().read_text().strip())
    integrator.replace(folder, succession.FILE, _note(old, entry))
    integrator.begin(folder, new, size=told.count, root=told.root)
    integrator.free(folder)
    kept = keys / f"log-ended-{old.verifier.id.hex()}"
    kept.unlink(missing_ok=True)
    os.link(keys / "log", kept)
    os.replace(_next(), keys / "log")
    integrator.sync_folder(keys)
