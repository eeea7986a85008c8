"""The public log as it is served: its files, and the receipt of what an id is about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import BinaryField, F, Func, IntegerField, Max, QuerySet, Value

from onym.core import succession
from onym.core.errors import NotFound
from onym.core.events import TYPES
from onym.core.succession import Succession
from onym.store.models import Event
from onym.tlog import checkpoint, merkle, proof, tiles, witness

SEARCHED = 200_000
"""How many of the last leaves a search by handle looks at; `onym verify` reads them all."""


class Entry(NamedTuple):
    """A leaf in a list: where it stands, and what it is about."""

    leaf: int
    type: str
    at: datetime
    ref: str
    handle: str


class Leaf(NamedTuple):
    """A leaf with everything that shows it to be in the log, as of `head`."""

    number: int
    text: str
    told: Mapping[str, Any]
    hash: str
    path: Sequence[str]
    head: checkpoint.Checkpoint


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


def predecessor() -> Succession | None:
    """The log that ended and in whose place ours goes on, if there is one."""
    try:
        return succession.read((directory() / succession.FILE).read_bytes())[0]
    except (FileNotFoundError, checkpoint.Unverified):
        return None


def submission(head: checkpoint.Checkpoint, *, old: int) -> bytes:
    """What is sent to a witness that last cosigned size `old`: the checkpoint and its proof."""
    read = tiles.Tiles(tiles.directory(directory()), head.size)
    return witness.submission(head=head, old=old, read=read).encode()


def submission_of(head: checkpoint.Checkpoint) -> bytes:
    """What asks a witness whether it has cosigned just this checkpoint; it needs no proof."""
    return witness.Submission(old=head.size, proof=(), head=head).encode()


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


def entries(
    *, type_: str = "", handle: str = "", before: int | None = None, limit: int
) -> list[Entry]:
    """The latest leaves, of one type or about one handle, from below leaf `before` on.

    A search by handle looks at the last `SEARCHED` leaves.
    """
    rows = Event.objects.filter(leaf_index__isnull=False)
    if before is not None:
        rows = rows.filter(leaf_index__lt=before)
    if type_:
        rows = rows.filter(type=type_)
    if handle:
        rows = _about(rows, handle)
    return [_entry(row) for row in rows.order_by("-leaf_index")[:limit]]


def types() -> list[str]:
    """Every type that an entry may have."""
    return sorted(TYPES)


def leaf(index: int) -> Leaf:
    """One leaf with its proof, from the log's files. Refuses `not_found`."""
    try:
        note = (directory() / tiles.CHECKPOINT).read_bytes()
        shown = proof.build(index=index, note=note, read=tiles.directory(directory()))
    except (FileNotFoundError, ValueError) as error:
        raise NotFound("there is no such leaf in the log yet") from error
    text = shown.extra.decode()
    return Leaf(
        number=index,
        text=text,
        told=json.loads(text),
        hash=merkle.leaf_hash(shown.extra).hex(),
        path=[step.hex() for step in shown.path],
        head=checkpoint.Checkpoint.parse(note),
    )


def _about(rows: QuerySet[Event], handle: str) -> QuerySet[Event]:
    """Entries are canonical, so that a handle stands in each in one spelling only."""
    needle = f'"handle":{json.dumps(handle, ensure_ascii=False)}'.encode()
    last = Event.objects.aggregate(last=Max("leaf_index"))["last"] or 0
    place = Func(
        Value(needle, output_field=BinaryField()),
        F("entry"),
        function="POSITION",
        arg_joiner=" IN ",
        output_field=IntegerField(),
    )
    found = rows.filter(leaf_index__gt=last - SEARCHED)
    return found.annotate(place=place).filter(place__gt=0)


def _entry(row: Event) -> Entry:
    told = json.loads(bytes(row.entry))
    handle = told["body"].get("handle", "")
    return Entry(row.leaf_index or 0, row.type, row.at, row.ref, handle)
