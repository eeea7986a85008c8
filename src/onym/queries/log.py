"""The public log as it is served: its files, and the receipt of what an id is about."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from onym.core.errors import NotFound
from onym.store.models import Event
from onym.tlog import checkpoint, proof, tiles, witness


def directory() -> Path:
    """Where checkpoint, key and tiles lie."""
    return Path(settings.DATA) / "log"


def file(path: str) -> bytes:
    """One public file of the log. Refuses `not_found` for anything else."""
    if not tiles.is_public(path):
        raise NotFound("the log has no such file")
    try:
        return (directory() / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("the log has no such file yet") from error


def published() -> checkpoint.Checkpoint | None:
    """The checkpoint as it is served, None before the first; Unverified if it cannot be read."""
    try:
        return checkpoint.Checkpoint.parse((directory() / tiles.CHECKPOINT).read_bytes())
    except FileNotFoundError:
        return None


def submission(head: checkpoint.Checkpoint, *, old: int) -> bytes:
    """What is sent to a witness that last cosigned size `old`: the checkpoint and its proof."""
    read = tiles.Tiles(tiles.directory(directory()), head.size)
    return witness.submission(head=head, old=old, read=read).encode()


def receipt(ref: str) -> bytes:
    """The last event about `ref`, proven under the published checkpoint (C2SP tlog-proof).

    Refuses `not_found` while it is on its way into the log: at most 60 s.
    """
    place = (
        Event.objects.filter(ref=ref, leaf_index__isnull=False)
        .order_by("-leaf_index")
        .values_list("leaf_index", flat=True)
        .first()
    )
    if place is None:
        raise NotFound("nothing about this is in the log yet")
    try:
        note = (directory() / tiles.CHECKPOINT).read_bytes()
        return proof.build(index=place, note=note, read=tiles.directory(directory())).encode()
    except (FileNotFoundError, ValueError) as error:
        raise NotFound("it is on its way into the log") from error
