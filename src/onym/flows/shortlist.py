"""The shortlist: a plain record of handles that the desk wants to sell next, and of who marks them.

Nothing is decided by it. docs/guides/desk.md.
"""

from __future__ import annotations

from django.db import transaction

from onym.core import access
from onym.core.errors import AlreadyClosed, Malformed
from onym.core.names import canon
from onym.flows import staff
from onym.store import clock, rowlocks
from onym.store.models import ShortlistEntry

LONGEST_NOTE = 2_000
MOST = 500


def mark(*, namespace: str, handle: str, by: str, note: str = "") -> ShortlistEntry:
    """Put a handle on the shortlist, or write its note anew.

    Refuses `not_allowed`, `handle_malformed`, `malformed` for a long note or a 501st handle.
    """
    if len(note) > LONGEST_NOTE:
        raise Malformed(f"a note has at most {LONGEST_NOTE} characters")
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SHORTLIST, namespace=namespace)
        name = canon(handle, place.profile)
        marks = ShortlistEntry.objects.filter(namespace=place, removed_at=None)
        found = marks.filter(handle=name).first()
        if found is not None:
            found.note = note
            found.save(update_fields=["note"])
            return found
        if marks.count() >= MOST:
            raise Malformed(f"the shortlist holds at most {MOST} handles")
        return ShortlistEntry.objects.create(
            namespace=place, handle=name, note=note, added_by_id=by, added_at=now
        )


def unmark(*, namespace: str, handle: str, by: str) -> ShortlistEntry:
    """Take a handle off again; the mark stays on record. `not_allowed`, `already_closed`."""
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SHORTLIST, namespace=namespace)
        name = canon(handle, place.profile)
        marks = ShortlistEntry.objects.filter(namespace=place, removed_at=None)
        found = marks.filter(handle=name).first()
        if found is None:
            raise AlreadyClosed("the handle is not on the shortlist")
        found.removed_by_id, found.removed_at = by, now
        found.save(update_fields=["removed_by", "removed_at"])
        return found
