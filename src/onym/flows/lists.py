"""The operator's lists (reserved, prohibited, protected, retired), changed by two people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access
from onym.core.errors import Malformed
from onym.core.events import Event
from onym.core.names import canon
from onym.flows import record, staff
from onym.store import clock, rowlocks
from onym.store.models import Approval, ListEntry
from onym.tlog import merkle

LISTS = ("reserved", "prohibited", "protected", "retired")
MOST = 10_000


def propose(
    *, namespace: str, name: str, add: Sequence[str], remove: Sequence[str], by: str
) -> Approval:
    """Ask a second person to change a list. Handles may be in any spelling.

    Refuses `not_allowed`, `malformed` (no such list, nothing to change, too much at once, a handle
    on both sides), `handle_malformed`.
    """
    if name not in LISTS:
        raise Malformed(f"the lists are {', '.join(LISTS)}")
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.EDIT_LISTS, namespace=namespace)
        added = sorted({canon(handle, place.profile) for handle in add})
        removed = sorted({canon(handle, place.profile) for handle in remove})
        if not 1 <= len(added) + len(removed) <= MOST or set(added) & set(removed):
            raise Malformed(f"name 1 to {MOST} handles, each to add or to remove")
        return record.propose(
            namespace=namespace,
            action="edit_list",
            payload={"list": name, "add": added, "remove": removed},
            facts=_facts(namespace, name),
            by=by,
            now=now,
        )


def facts_of(approval: Approval) -> Mapping[str, Any]:
    """What both people see: the list as it stands."""
    rowlocks.namespace(approval.namespace_id)
    return _facts(approval.namespace_id, approval.payload["list"])


def _facts(namespace: str, name: str) -> dict[str, Any]:
    handles = _handles(namespace, name)
    return {"count": len(handles), "root": _root(handles)}


def _handles(namespace: str, name: str) -> list[str]:
    rows = ListEntry.objects.filter(namespace_id=namespace, list=name).order_by("handle")
    return list(rows.values_list("handle", flat=True))


def _root(handles: Sequence[str]) -> str:
    return merkle.root_of_rows(handle.encode() for handle in sorted(handles)).hex()


def change_approved(approval: Approval, now: datetime) -> Mapping[str, Any]:
    """The change that two people agreed on; the protected list's enters the log as a root."""
    asked, place = approval.payload, approval.namespace_id
    entries = ListEntry.objects.filter(namespace_id=place, list=asked["list"])
    removed, _ = entries.filter(handle__in=asked["remove"]).delete()
    known = set(_handles(place, asked["list"]))
    fresh = [handle for handle in asked["add"] if handle not in known]
    ListEntry.objects.bulk_create(
        ListEntry(
            namespace_id=place, list=asked["list"], handle=handle, reason=approval.id, added_at=now
        )
        for handle in fresh
    )
    handles = _handles(place, asked["list"])
    said = {"count": len(handles), "added": len(fresh), "removed": removed}
    if asked["list"] == "protected":
        body = {**said, "root": _root(handles), "approval": approval.id}
        event = Event("ProtectedListChanged", approval.id, body)
        record.log(event, namespace=place, at=now)
    return {"list": asked["list"], **said}
