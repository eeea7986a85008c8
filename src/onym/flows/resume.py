"""Signing goes on after a restore: leaves that were published since are brought back first.

What the restored database does not know of is in the log for good; its rows of events are written
again from the published entries, so that no place in the log is ever given twice. What those
events did to sales and holders is not undone or redone here: `onym audit` names it.
docs/guides/backup.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from django.conf import settings
from django.db import transaction

from onym.core.errors import Refusal
from onym.core.events import Event
from onym.flows import log, record
from onym.store import bulk, clock
from onym.store.models import Event as EventRow
from onym.tlog import integrator

SOME = 1_000


class Fork(Refusal):
    """Nothing may be signed any more by this database: what it says was said otherwise."""

    status, code, title = 409, "log_forked", "The published log and the database disagree"


class LogEnded(Refusal):
    """A log that has a successor never signs again."""

    status, code, title = 409, "log_ended", "This log has ended"


@dataclass(frozen=True, slots=True)
class Resumed:
    """`known` leaves the database had, `brought_back` were published later; `size` is now."""

    known: int
    brought_back: int
    size: int


def resume(*, published: Iterable[bytes], size: int) -> Resumed:
    """Take `published`, all entries of the newest checkpoint of `size` leaves, and sign again.

    The entries are checked against the checkpoint by the caller. Each is compared with the row of
    its place; those without a row get one, or the place of a row that waited when the backup was
    made. One leaf (`LogResumed`) says that it happened. Refuses `log_forked` and `log_ended`, and
    writes nothing.
    """
    with log.alone():
        if (new := log.successor()) is not None:
            raise LogEnded(log.ended(new))
        with transaction.atomic():
            known, back = bring_back(published)
            now = clock.now()
            told = Event("LogResumed", settings.NAMESPACE, {"count": back, "previous": known})
            record.log(told, namespace=settings.NAMESPACE, at=now)
        integrator.free(log.directory())
    return Resumed(known, back, max(log.integrate(), size))


def bring_back(entries: Iterable[bytes]) -> tuple[int, int]:
    """Write the rows that the database lacks; (leaves that were known, leaves that were not).

    Refuses `log_forked` where both have a leaf and it is not the same.
    """
    known, back, at = log.numbered(), 0, 0
    stream = iter(entries)
    while some := list(islice(stream, SOME)):
        ours = dict(
            EventRow.objects.filter(leaf_index__range=(at, at + SOME - 1)).values_list(
                "leaf_index", "entry"
            )
        )
        missing = []
        for place, entry in enumerate(some, at):
            if place not in ours:
                missing.append((place, entry))
            elif bytes(ours[place]) != entry:
                raise Fork(f"leaf {place} is published with another content than the database's")
        back += len(missing)
        _place(missing)
        at += len(some)
    return known, back


def _place(missing: list[tuple[int, bytes]]) -> None:
    waiting = {bytes(row.entry): row for row in EventRow.objects.filter(leaf_index=None)}
    fresh = []
    for place, entry in missing:
        row = waiting.pop(entry, None)
        if row is None:
            fresh.append(row_of(place, entry))
        else:
            row.leaf_index = place
            row.save(update_fields=["leaf_index"])
    bulk.insert(EventRow, fresh)


def row_of(place: int, entry: bytes) -> dict[str, object]:
    """The columns of a published entry's row."""
    told = json.loads(entry)
    return {
        "namespace_id": told["namespace"],
        "type": told["type"],
        "ref": told["ref"],
        "at": datetime.fromisoformat(told["at"]).astimezone(UTC),
        "entry": entry,
        "openings": None,
        "leaf_index": place,
    }
