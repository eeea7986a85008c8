"""The integrator: rows of events become leaves of the public log, in one order, signed.

Places are given out in a transaction of their own under an advisory lock, and only then written to
the log's files: a crash in between is made good by the next run, which finds rows with a place
that the files lack. docs/concepts/log.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from onym.core import succession
from onym.store.models import Event
from onym.tlog import checkpoint, integrator

WRITER_LOCK = 0x0F_0A_11
BATCH = 5_000


def directory() -> Path:
    """Where checkpoint, tiles and entries lie; served as they are."""
    return Path(settings.DATA) / "log"


def signer() -> checkpoint.Signer:
    """The log's own key; the origin is fixed when the key is first made."""
    return _signer(Path(settings.DATA) / "keys" / "log", origin=settings.LOG_ORIGIN)


def _signer(path: Path, *, origin: str) -> checkpoint.Signer:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".log.{os.getpid()}")
        write_key(fresh, checkpoint.Signer(origin, os.urandom(32)))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return checkpoint.Signer.parse(path.read_text().strip())


def write_key(path: Path, key: checkpoint.Signer) -> None:
    """Write a key for its owner alone, on disk when this returns; what is there is replaced."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key.encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else gives places or signs meanwhile, on whatever host."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [WRITER_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", [WRITER_LOCK])


def successor() -> checkpoint.Verifier | None:
    """The key of the log that goes on in the place of ours, once ours has ended.

    CannotSign when what says so cannot be read.
    """
    try:
        told, _ = succession.read((directory() / succession.FILE).read_bytes())
    except FileNotFoundError:
        return None
    except checkpoint.Unverified as fault:
        raise integrator.CannotSign(f"DATA/log/{succession.FILE} cannot be read: {fault}") from None
    return told.new if told.old == signer().verifier else None


def ended(new: checkpoint.Verifier) -> str:
    """What is said to whoever would let an ended log go on."""
    return (
        f"log_ended: this log has ended and {new.name} goes on in its place: put back the keys/log "
        "and the files of that one (a restore sets them aside in DATA/before-restore-…)"
    )


def integrate() -> int:
    """Give every waiting event its place and publish a checkpoint; answers the tree's size."""
    with alone():
        key = signer()
        integrator.expect_free(directory())
        if (new := successor()) is not None:
            raise integrator.CannotSign(ended(new))
        head = integrator.head(directory(), key.verifier)
        _expect_not_behind(head.size if head else 0)
        _number()  # for good, so only once it is known that nobody else's leaf stands there
        return _publish(key)


def _number() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            with last as (select coalesce(max(leaf_index), -1) as place from store_event),
            waiting as (
                select seq, row_number() over (order by seq) as step
                from store_event where leaf_index is null
            )
            update store_event set leaf_index = last.place + waiting.step
            from waiting, last where store_event.seq = waiting.seq
            """
        )


def _publish(key: checkpoint.Signer) -> int:
    while True:
        head = integrator.head(directory(), key.verifier)
        size = head.size if head else 0
        known = max(size - 1, 0)  # the last published leaf goes along, so that a fork is noticed
        rows = Event.objects.filter(leaf_index__gte=known).order_by("leaf_index")
        entries = [bytes(entry) for entry in rows.values_list("entry", flat=True)[:BATCH]]
        if known + len(entries) == size:
            return size
        integrator.append(directory(), entries, key, first=known)


def _expect_not_behind(size: int) -> None:
    known = numbered()
    if known < size:
        raise integrator.CannotSign(
            f"log_behind: {size} leaves are published, but only {known} are known here: "
            "the database was restored to a time before the last checkpoint; "
            "run `onym log resume`"
        )


def numbered() -> int:
    """How many events have a place in the log, by what the database knows."""
    last: int | None = Event.objects.aggregate(last=Max("leaf_index"))["last"]
    return 0 if last is None else last + 1


def cosign(*, key: checkpoint.Verifier, head: checkpoint.Checkpoint, lines: str) -> bool:
    """Put the cosignature of the witness `key` under `head`, as it is served from then on.

    False once another checkpoint is out. Lines by anybody else, or that `key` has not signed,
    raise Unverified: nothing foreign gets into the checkpoint.
    """
    own = [f"{line}\n" for line in lines.splitlines() if line.startswith(f"\u2014 {key.name} ")]
    signed = checkpoint.with_signatures(head.note, "".join(own))
    if not own or not checkpoint.cosignatures(signed, [key]):
        raise checkpoint.Unverified(f"{key.name} has not cosigned this checkpoint")
    log = signer().verifier
    return integrator.cosign(directory(), log, size=head.size, lines="".join(own))


def name_witnesses(keys: Sequence[checkpoint.Verifier]) -> None:
    """Publish who is asked to cosign: one verifier key a line, beside the checkpoint."""
    directory().mkdir(parents=True, exist_ok=True)
    fresh = directory() / f".witnesses.{os.getpid()}"
    fresh.write_text("".join(f"{key}\n" for key in keys))
    fresh.replace(directory() / "witnesses")


def published_size() -> int:
    """How many leaves the last published checkpoint covers."""
    head = integrator.head(directory(), signer().verifier)
    return head.size if head else 0
