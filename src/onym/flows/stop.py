"""The release stop: on by one person, off by two; while it is on nothing becomes released."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access
from onym.core.errors import AlreadyClosed
from onym.core.events import Event
from onym.core.handle import State
from onym.flows import record, staff
from onym.store import clock, rowlocks
from onym.store import reclaim as store
from onym.store.models import Approval, Namespace, Reclaim, StopPeriod


def set_stop(*, namespace: str, on: bool, by: str) -> Mapping[str, Any] | Approval:
    """Switch the release stop on (one person), or ask for a second person to lift it.

    Refuses `not_allowed`, `already_closed` if it is so already.
    """
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SET_STOP, namespace=namespace)
        if place.release_stop == on:
            raise AlreadyClosed(f"the release stop is {'on' if on else 'off'} already")
        if not on:
            return record.propose(
                namespace=namespace,
                action="lift_stop",
                payload={"on": False},
                facts={"release_stop": True},
                by=by,
                now=now,
            )
        StopPeriod.objects.create(namespace=place, since=now, set_by_id=by)
        return _switch(place, on=True, by=by, approval=None, now=now)


def stop_facts(approval: Approval) -> Mapping[str, Any]:
    """What both people see of the stop."""
    return {"release_stop": rowlocks.namespace(approval.namespace_id).release_stop}


def lift_approved(approval: Approval, now: datetime) -> Mapping[str, Any]:
    """Lift the stop that two people agreed to lift; what fell due under it takes effect now."""
    place = rowlocks.namespace(approval.namespace_id)
    since = next(s.since for s in store.stops(place.id) if s.until is None)
    StopPeriod.objects.update_or_create(
        namespace=place,
        until=None,
        defaults={"until": now, "approval": approval},
        create_defaults={"since": since, "until": now, "approval": approval},
    )
    waiting = Reclaim.objects.filter(plan__namespace=place, ended_at=None, written=State.RESTING)
    waiting.update(next_at=now)
    by = approval.proposed_by_id
    return _switch(place, on=False, by=by, approval=approval.id, now=now)


def _switch(
    place: Namespace, *, on: bool, by: str, approval: str | None, now: datetime
) -> Mapping[str, Any]:
    place.release_stop = on
    place.save(update_fields=["release_stop"])
    body: dict[str, Any] = {"on": on, "by": by} | ({"approval": approval} if approval else {})
    record.log(Event("ReleaseStopSet", place.id, body), namespace=place.id, at=now)
    return {"on": on}
