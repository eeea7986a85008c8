"""Invitations as their recipients see them, campaigns as the desk does."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Q

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.store import clock, secrets
from onym.store.models import Campaign, Event, Invitation, MailAddress, Suppression


def invitation(token: str, *, now: datetime | None = None) -> dict[str, Any]:
    """What the link shows: the offer, and that it is authentic and was committed beforehand."""
    now = now or clock.now()
    rows = Invitation.objects.select_related("campaign__handle")
    row = rows.filter(token_digest=secrets.digest(token)).first()
    if row is None:
        raise NotFound("no such invitation")
    campaign = row.campaign
    leaves = _leaves(campaign.id, row.id)
    is_over = row.state == "sent" and row.expires_at is not None and now >= row.expires_at
    return {
        "id": row.id,
        "name": _opened(row)[1],
        "handle": campaign.handle.handle,
        "price": Money(campaign.price_minor, campaign.currency),
        "displaces": campaign.handle.account_id is not None,
        "state": "expired" if is_over else row.state,
        "expires_at": row.expires_at,
        "closed_at": row.closed_at,
        "campaign": campaign.id,
        "position": row.position,
        "count": campaign.invitation_set.count(),
        "root": campaign.root,
        "salt": bytes(row.salt).hex(),
        "committed_at": campaign.committed_at,
        "committed_leaf": leaves.get("CandidatesCommitted"),
        "sent_at": row.sent_at,
        "sent_leaf": leaves.get("InvitationSent"),
    }


def _leaves(campaign: str, invitation: str) -> dict[str, int | None]:
    """Places in the log of the commitment and of the sending; None: on its way into it."""
    committed = Q(type="CandidatesCommitted", ref=campaign)
    rows = Event.objects.filter(committed | Q(type="InvitationSent", ref=invitation))
    return dict(rows.values_list("type", "leaf_index"))


def campaign(campaign_id: str, *, namespace: str) -> dict[str, Any]:
    """A campaign and what became of its invitations, without names."""
    rows = Campaign.objects.select_related("handle").filter(namespace_id=namespace)
    row = rows.filter(pk=campaign_id).first()
    if row is None:
        raise NotFound("no such campaign")
    return campaign_view(row)


def campaign_view(row: Campaign) -> dict[str, Any]:
    """The shape of a campaign."""
    return _campaign(row, Counter(row.invitation_set.values_list("state", flat=True)))


def _campaign(row: Campaign, states: Counter[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "handle": row.handle.handle,
        "price": Money(row.price_minor, row.currency),
        "state": row.state,
        "criteria": row.criteria,
        "recipients": sum(states.values()),
        "results": dict(sorted(states.items())),
        "root": row.root,
        "committed_at": row.committed_at,
        "sent_at": row.sent_at,
    }


def recipients(campaign_id: str, *, with_names: bool) -> list[dict[str, Any]]:
    """Each invitation of a campaign in its order: what became of it and where the log says so.

    Who it went to is opened for `with_names` only: whoever asks writes that down first.
    """
    rows = list(Invitation.objects.filter(campaign_id=campaign_id).order_by("position"))
    leaves: dict[str, dict[str, int | None]] = {row.id: {} for row in rows}
    events = Event.objects.filter(ref__in=list(leaves)).order_by("seq")
    for ref, type_, place in events.values_list("ref", "type", "leaf_index"):
        leaves[ref][type_] = place
    return [_recipient(row, leaves[row.id], with_names=with_names) for row in rows]


def _recipient(
    row: Invitation, leaves: dict[str, int | None], *, with_names: bool
) -> dict[str, Any]:
    mail, name, language = _opened(row) if with_names else ("", "", "")
    ended = "InvitationAccepted" if row.state == "accepted" else "InvitationClosed"
    return {
        "position": row.position + 1,
        "state": row.state,
        "sent_at": row.sent_at,
        "expires_at": row.expires_at,
        "closed_at": row.closed_at,
        "sent_leaf": leaves.get("InvitationSent"),
        "ended_leaf": leaves.get(ended),
        "mail": mail,
        "name": name,
        "language": language,
    }


def _opened(row: Invitation) -> tuple[str, str, str]:
    """Mail, name and language; of somebody forgotten nothing."""
    if not row.recipient_sealed:
        return "", "", ""
    plain = secrets.open_(bytes(row.recipient_sealed), place=f"invitation.recipient/{row.id}")
    mail, name, language = json.loads(plain)
    return mail, name, language


def committed_leaf(campaign_id: str) -> int | None:
    """Where the log holds the commitment to a campaign's candidates; None: on its way."""
    rows = Event.objects.filter(type="CandidatesCommitted", ref=campaign_id)
    found: int | None = rows.values_list("leaf_index", flat=True).first()
    return found


def campaigns(namespace: str) -> list[dict[str, Any]]:
    """All campaigns, the latest first."""
    rows = Campaign.objects.select_related("handle").filter(namespace_id=namespace)
    found = list(rows.order_by("-id")[:100])
    states: dict[str, Counter[str]] = {row.id: Counter() for row in found}
    invited = Invitation.objects.filter(campaign__in=found)
    for campaign_id, state in invited.values_list("campaign_id", "state"):
        states[campaign_id][state] += 1
    return [_campaign(row, states[row.id]) for row in found]


def is_for(token: str, *, member: str) -> bool:
    """Whether the invitation was sent to a verified address of the member."""
    mine = MailAddress.objects.filter(member_id=member, replaced_at=None).values("address_index")
    rows = Invitation.objects.filter(token_digest=secrets.digest(token), recipient_index__in=mine)
    return rows.exists()


def is_silenced(token: str) -> bool:
    """Whether the link's address wants no more mail. Refuses `not_found`."""
    rows = Invitation.objects.select_related("campaign")
    row = rows.filter(token_digest=secrets.digest(token)).first()
    if row is None:
        raise NotFound("no such invitation")
    known = Suppression.objects.filter(
        namespace_id=row.campaign.namespace_id, address_index=row.recipient_index
    )
    return known.exists()
