"""The desk's view: what waits for a second person, switches, published documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onym.core import reclaim as reclaims
from onym.core.handle import State
from onym.core.money import Money
from onym.core.policy import Outcome
from onym.queries import appraisal, approval, ground, invitation, listing, sale, standing
from onym.queries.ground import Ground
from onym.store.models import (
    Appeal,
    Approval,
    Campaign,
    Document,
    Handle,
    Listing,
    Plan,
    Sale,
)
from onym.sweep import stock as stocks

SHOWN = 50
SCANNED = 5_000


def approvals(namespace: str) -> list[dict[str, Any]]:
    """What waits for a second person, the oldest first."""
    rows = Approval.objects.filter(namespace_id=namespace, state="open").order_by("id")
    return [approval_view(row) for row in rows]


def approval_view(row: Approval) -> dict[str, Any]:
    """The shape of an approval; sealed contacts stay sealed."""
    price = row.payload.get("price")
    return {
        "id": row.id,
        "action": row.action,
        "summary": approval.summary(action=row.action, payload=row.payload, facts=row.facts),
        "handle": row.payload.get("handle"),
        "price": Money(int(price["minor"]), price["currency"]) if price else None,
        "shown": row.shown,
        "proposed_by": row.proposed_by_id,
        "proposed_at": row.proposed_at,
        "state": row.state,
    }


def appeals(namespace: str, *, with_text: bool) -> list[dict[str, Any]]:
    """Open appeals, the oldest first; the holder's own words for whoever may decide only."""
    rows = Appeal.objects.filter(namespace_id=namespace, state="open")
    return [
        {
            "id": row.id,
            "handle": row.handle.display,
            "opened_at": row.opened_at,
            "reasons": list(row.process.reasons),
            "text": row.text if with_text else "",
        }
        for row in rows.select_related("handle", "process").order_by("opened_at", "id")
    ]


def handle(namespace: str | Ground, name: str) -> dict[str, Any]:
    """State of a handle, and what it may be worth, as it enters the log beside a price."""
    looked = ground.of(namespace)
    found = standing.seen(namespace=looked, handle=name)
    row = found.row
    return {
        "handle": found.handle,
        "display": row.display if row else found.handle,
        "state": found.standing.state.value,
        "locked": bool(row and row.locked_by),
        "appeal_open": bool(row and row.appeal_open),
        "worth": appraisal.appraise(
            found.handle,
            account=found.account,
            demand=getattr(row, "demand", None),
            now=looked.now,
        ),
    }


def stock(namespace: str | Ground, *, q: str) -> list[dict[str, Any]]:
    """Released handles that begin with `q`, touched or not, what is appraised highest first.

    At most `SCANNED` findings of each plan are looked at: a longer beginning finds the rest.
    """
    looked = ground.of(namespace)
    found = {row["handle"]: row for row in _released(looked, start=q.lower())}
    rows = Handle.objects.filter(namespace=looked.place).select_related("saleslot")
    swept = {row.handle: found.pop(row.handle) for row in rows.filter(handle__in=list(found))}
    for row in rows.filter(handle__startswith=q.lower(), state=State.RELEASED)[:SCANNED]:
        known = swept.get(row.handle) or _brief(row.handle, row.display)
        found[row.handle] = known | {"in_sale": hasattr(row, "saleslot")}
    return sorted(found.values(), key=_worth)[:SHOWN]


def _released(looked: Ground, *, start: str) -> Iterator[dict[str, Any]]:
    """What the plans in use have set free, as if nobody had touched any of it."""
    place = looked.place
    for plan in looked.plans:
        made, opened = looked.made[plan.id], stocks.cached(Path(plan.path))
        for row in opened.prefix(start, limit=SCANNED):
            finding = reclaims.Finding(
                handle=row["canonical"],
                bucket=opened.bucket(row["canonical"]),
                account_id=row["account_id"],
                verdict=Outcome(row["verdict"]),
                reasons=tuple(row["reasons"] or ()),
                resting_days=row["resting_days"],
            )
            stands = reclaims.state(finding, plan=made, stops=looked.stops, now=looked.now)
            if stands.state is State.RELEASED:
                mid = row["appraisal_mid_minor"]
                worth = Money(mid, place.currency) if mid else None
                yield _brief(row["canonical"], row["handle"], tier=row["tier"], appraisal=worth)


def _brief(
    handle: str,
    display: str,
    *,
    tier: str | None = None,
    appraisal: Money | None = None,
    in_sale: bool = False,
) -> dict[str, Any]:
    return {
        "handle": handle,
        "display": display,
        "tier": tier,
        "appraisal": appraisal,
        "in_sale": in_sale,
    }


def _worth(row: Mapping[str, Any]) -> tuple[int, str]:
    return -(row["appraisal"].minor if row["appraisal"] else 0), row["handle"]


def outcome(made: Any) -> tuple[int, Any]:
    """Status and body of a desk act: 202 and the approval while a second person is needed."""
    if isinstance(made, Approval):
        return 202, {"approval": approval_view(made)}
    if isinstance(made, Listing):
        return 201, listing.view(made)
    if isinstance(made, Campaign):
        return 201, invitation.campaign_view(made)
    if isinstance(made, Sale):
        return 201, sale.view(made)
    if isinstance(made, Plan):
        policy = {"id": made.policy_name, "version": made.policy_version}
        return 201, {"id": made.id, "policy": policy, "stages": made.stages}
    return 200, made


def switches(namespace: str | Ground) -> dict[str, Any]:
    """Phase and release stop, as every page shows them."""
    looked = ground.of(namespace)
    row = looked.place
    return {
        "namespace": row.id,
        "title": row.title,
        "phase": row.phase,
        "release_stop": row.release_stop,
        "currency": row.currency,
        "now": looked.now,
    }


def documents(namespace: str, kind: str) -> list[dict[str, Any]]:
    """All versions of a kind of document, the latest to take effect first."""
    rows = Document.objects.filter(namespace_id=namespace, kind=kind)
    return [
        {
            "id": row.name,
            "version": row.version,
            "effective_from": row.effective_from,
            "sha256": row.sha256,
            "text": row.text,
        }
        for row in rows.order_by("-effective_from", "-id")
    ]
