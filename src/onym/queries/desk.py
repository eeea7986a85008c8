"""The desk's view: what waits for a second person, switches, published documents."""

from __future__ import annotations

from typing import Any

from onym.queries import invitation, listing, sale
from onym.store import clock
from onym.store.models import Approval, Campaign, Document, Listing, Namespace, Sale


def approvals(namespace: str) -> list[dict[str, Any]]:
    """What waits for a second person, the oldest first."""
    rows = Approval.objects.filter(namespace_id=namespace, state="open").order_by("id")
    return [approval_view(row) for row in rows]


def approval_view(row: Approval) -> dict[str, Any]:
    """The shape of an approval; sealed contacts stay sealed."""
    return {
        "id": row.id,
        "action": row.action,
        "summary": row.summary,
        "shown": row.shown,
        "proposed_by": row.proposed_by_id,
        "proposed_at": row.proposed_at,
        "state": row.state,
    }


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
    return 200, made


def switches(namespace: str) -> dict[str, Any]:
    """Phase and release stop, as every page shows them."""
    row = Namespace.objects.get(pk=namespace)
    return {
        "namespace": row.id,
        "title": row.title,
        "phase": row.phase,
        "release_stop": row.release_stop,
        "currency": row.currency,
        "now": clock.now(),
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
