"""The switches of the areas: stopped by one person at once, lifted by two.

What ran against a deadline when the stop began gets the time back when it is lifted; jobs that an
area's stop holds up look again by themselves. docs/guides/switches.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from onym.core import access
from onym.core.area import Area, expect_running
from onym.core.errors import AlreadyClosed, Malformed
from onym.core.events import Event
from onym.core.invitation import CampaignState
from onym.core.sale import State
from onym.flows import record, staff, stop
from onym.store import area as store
from onym.store import clock, rowlocks
from onym.store.models import (
    Approval,
    AreaStop,
    Campaign,
    Invitation,
    Namespace,
    Offer,
    Sale,
)


def expect(area: Area, *, namespace: str) -> None:
    """Refuses `area_stopped`; for flows that begin something new."""
    expect_running(area, stopped=store.stopped(namespace))


def is_stopped(area: Area, *, namespace: str) -> bool:
    """For flows that only wait: they do nothing and are asked again."""
    return area in store.stopped(namespace)


def set_area(*, namespace: str, area: str, stopped: bool, by: str) -> Mapping[str, Any] | Approval:
    """Stop an area (one person), or ask for a second person to lift its stop.

    Stopping reclaim turns the release stop on, too; that has a switch of its own.
    Refuses `not_allowed`, `malformed`, `already_closed` if it is so already.
    """
    if area not in tuple(Area):
        raise Malformed(f"an area is one of {', '.join(Area)}")
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SET_STOP, namespace=namespace)
        if (area in store.stopped(namespace)) == stopped:
            raise AlreadyClosed(f"{area} are {'stopped' if stopped else 'running'} already")
        if not stopped:
            return record.propose(
                namespace=namespace,
                action="lift_area",
                payload={"area": area, "stopped": False},
                facts={"area_stopped": True},
                by=by,
                now=now,
            )
        AreaStop.objects.create(namespace=place, area=area, since=now, set_by_id=by)
        if area == Area.RECLAIM and not place.release_stop:
            stop.set_stop(namespace=namespace, on=True, by=by)
        return _told(place, area=area, stopped=True, by=by, approval=None, now=now)


def area_facts(approval: Approval) -> Mapping[str, Any]:
    """What both people see of the area."""
    place = rowlocks.namespace(approval.namespace_id)
    return {"area_stopped": approval.payload["area"] in store.stopped(place.id)}


def lift_approved(approval: Approval, now: datetime) -> Mapping[str, Any]:
    """Lift the stop that two people agreed to lift, and give back the time that it took."""
    place = rowlocks.namespace(approval.namespace_id)
    area = Area(approval.payload["area"])
    row = AreaStop.objects.get(namespace=place, area=area, until=None)
    row.until, row.approval = now, approval
    row.save(update_fields=["until", "approval"])
    GIVE_BACK.get(area, _nothing)(place, since=row.since, now=now)
    by = approval.proposed_by_id
    return _told(place, area=area, stopped=False, by=by, approval=approval.id, now=now)


def _told(
    place: Namespace, *, area: str, stopped: bool, by: str, approval: str | None, now: datetime
) -> Mapping[str, Any]:
    body: dict[str, Any] = {"area": area, "on": stopped, "by": by}
    body |= {"approval": approval} if approval else {}
    record.log(Event("AreaStopSet", place.id, body), namespace=place.id, at=now)
    return {"area": area, "stopped": stopped}


def _nothing(place: Namespace, *, since: datetime, now: datetime) -> None:
    """Its deadlines lie with nobody who waits."""


def _sales(place: Namespace, *, since: datetime, now: datetime) -> None:
    """Buyers could not pay and holders not accept: their deadlines move by the stop's length."""
    took = now - since
    waiting = Sale.objects.filter(namespace=place)
    waiting.filter(state__in=(State.FUNDING, State.FUNDING_UNKNOWN)).update(
        funding_until=F("funding_until") + took
    )
    Offer.objects.filter(namespace=place, state="open").update(expires_at=F("expires_at") + took)
    sent = Invitation.objects.filter(campaign__namespace=place, state="sent")
    sent.update(expires_at=F("expires_at") + took)


def _outreach(place: Namespace, *, since: datetime, now: datetime) -> None:  # noqa: ARG001 - theirs
    """The campaigns that were under way go on with those who have no letter yet."""
    for campaign in Campaign.objects.filter(namespace=place, state=CampaignState.SENDING):
        record.defer("invitation.send", lock=campaign.id, campaign_id=campaign.id)


GIVE_BACK = {Area.SALES: _sales, Area.OUTREACH: _outreach}
