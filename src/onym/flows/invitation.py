"""Quiet offers: commit the candidates, send, accept, decline, expire.

The commitment to the candidates enters the log with the campaign's draft; a mail leaves only when
a published checkpoint covers it. docs/concepts/invitations.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction

from onym.core import access, fees
from onym.core import handle as handles
from onym.core import invitation as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import Malformed, NotAllowed, NotFound
from onym.core.events import Event, amount, instant
from onym.core.money import Money
from onym.flows import appraisal, area, names, record, screening, staff
from onym.flows import listing as listings
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    Approval,
    Campaign,
    Handle,
    Invitation,
    MailAddress,
    Member,
    Sale,
    Suppression,
)
from onym.tlog import merkle

MOST_RECIPIENTS = 1_000
MOST_DAYS = 90


@dataclass(frozen=True, slots=True)
class Recipient:
    """A possible buyer: verified nowhere yet; the mail address is all that binds the link."""

    mail: str
    name: str
    language: str


def propose(
    *,
    namespace: str,
    handle: str,
    by: str,
    price: Money,
    criteria: str,
    recipients: Sequence[Recipient],
    expires_in_days: int,
    shown: appraisal.Shown | None = None,
) -> Campaign | Approval:
    """Draft a campaign and commit its candidates; a dear price asks for a second person first.

    `shown` is the appraisal that stood beside the price; both are committed before the candidates.
    Refuses `not_allowed`, `malformed`, `handle_unavailable`, `handle_locked`, amounts.
    """
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        staff.expect(by, access.Action.CAMPAIGN, namespace=namespace)
        _check(row, price=price, recipients=recipients, days=expires_in_days, now=now)
        asked = {
            "handle": row.handle,
            "price": amount(price),
            "criteria": criteria,
            "days": expires_in_days,
            "by": by,
            **appraisal.payload(shown),
        }
        if not sale_flow.guidelines_of(namespace, now).needs_two(price):
            return _draft(row, asked=asked, recipients=recipients, approval=None, now=now)
        sealed = _seal_recipients(recipients)
        return record.propose(
            namespace=namespace,
            action="campaign",
            payload={**asked, "recipients_sealed": sealed, "candidates": len(recipients)},
            facts=listings.facts_of(row),
            by=by,
            now=now,
        )


def _check(
    row: Handle, *, price: Money, recipients: Sequence[Recipient], days: int, now: datetime
) -> None:
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise Malformed(f"a campaign has 1 to {MOST_RECIPIENTS} recipients")
    if not 1 <= days <= MOST_DAYS:
        raise Malformed(f"an invitation stands for 1 to {MOST_DAYS} days")
    if len({r.mail.casefold() for r in recipients}) != len(recipients):
        raise Malformed("a recipient stands twice in the list")
    handles.expect_house_may_sell(row.snapshot())
    price.expect(row.namespace.currency)
    fees.split(price=price, kind="primary", schedule=sale_flow.schedule_of(row.namespace_id, now))


def _seal_recipients(recipients: Sequence[Recipient]) -> str:
    plain = json.dumps([[r.mail, r.name, r.language] for r in recipients])
    return secrets.seal(plain, place="approval.recipients").hex()


def draft_approved(approval: Approval, *, now: datetime) -> Campaign:
    """The campaign that two people agreed on."""
    asked = {key: said for key, said in approval.payload.items() if key != "candidates"}
    plain = secrets.open_(
        bytes.fromhex(asked.pop("recipients_sealed")), place="approval.recipients"
    )
    recipients = [Recipient(*fields) for fields in json.loads(plain)]
    row = names.touch(namespace=approval.namespace_id, handle=asked["handle"])
    price = Money(int(asked["price"]["minor"]), asked["price"]["currency"])
    _check(row, price=price, recipients=recipients, days=asked["days"], now=now)
    return _draft(row, asked=asked, recipients=recipients, approval=approval.id, now=now)


def _draft(
    row: Handle,
    *,
    asked: Mapping[str, Any],
    recipients: Sequence[Recipient],
    approval: str | None,
    now: datetime,
) -> Campaign:
    salted = [(os.urandom(32), recipient) for recipient in recipients]
    leaves = [core.candidate(salt, secrets.index(r.mail, purpose="mail")) for salt, r in salted]
    price = asked["price"]
    campaign = Campaign.objects.create(
        id=ids.new("cmp"),
        namespace=row.namespace,
        handle=row,
        price_minor=int(price["minor"]),
        currency=price["currency"],
        criteria=asked["criteria"],
        root=merkle.root_of_rows(leaves).hex(),
        expires_in_days=asked["days"],
        proposed_by_id=asked["by"],
        committed_at=now,
    )
    for position, (salt, recipient) in enumerate(salted):
        _invite(campaign, position=position, salt=salt, recipient=recipient)
    set_ = appraisal.priced(
        row,
        ref=campaign.id,
        price=Money(campaign.price_minor, campaign.currency),
        shown=appraisal.read(asked),
        approval=approval,
        is_public=False,
    )
    commitment = _committed(campaign, approval=approval)
    record.log(*set_, commitment, namespace=row.namespace_id, at=now)
    return campaign


def _invite(campaign: Campaign, *, position: int, salt: bytes, recipient: Recipient) -> None:
    id_, token = ids.new("inv"), random.token_urlsafe(32)
    plain = json.dumps([recipient.mail, recipient.name, recipient.language])
    Invitation.objects.create(
        id=id_,
        campaign=campaign,
        position=position,
        recipient_sealed=secrets.seal(plain, place=f"invitation.recipient/{id_}"),
        recipient_index=secrets.index(recipient.mail, purpose="mail"),
        salt=salt,
        token_sealed=secrets.seal(token, place=f"invitation.token/{id_}"),
        token_digest=secrets.digest(token),
    )


def _committed(campaign: Campaign, *, approval: str | None) -> Event:
    body = {
        "campaign": campaign.id,
        "count": campaign.invitation_set.count(),
        "root": campaign.root,
        "criteria_sha256": hashlib.sha256(campaign.criteria.encode()).hexdigest(),
    }
    return Event(
        "CandidatesCommitted", campaign.id, body | ({"approval": approval} if approval else {})
    )


def send(*, campaign_id: str, by: str) -> Campaign:
    """Order the mails; each waits until a checkpoint covers the commitment.

    Refuses `not_allowed`, `already_closed`, `phase_closed`, `area_stopped`, and an unavailable
    handle.
    """
    found = Campaign.objects.filter(pk=campaign_id).values_list("namespace_id", flat=True).first()
    if found is None:
        raise NotFound("no such campaign")
    with transaction.atomic():
        phase = rowlocks.namespace_shared(found).phase
        campaign = rowlocks.campaign(campaign_id)
        now = clock.now()
        staff.expect(by, access.Action.CAMPAIGN, namespace=found)
        access.expect_phase(phase, access.Way.INVITATION)
        area.expect(Area.OUTREACH, namespace=found)
        handles.expect_house_may_sell(campaign.handle.snapshot())
        if campaign.state != core.CampaignState.DRAFT:
            raise NotAllowed(f"the campaign is {campaign.state}")
        campaign.state, campaign.sent_at = core.CampaignState.SENDING, now
        campaign.save(update_fields=["state", "sent_at"])
        record.defer("invitation.send", lock=campaign.id, campaign_id=campaign.id)
        return campaign


def sending(*, invitation_id: str) -> bool:
    """One mail is about to leave: suppression is checked here at every attempt, the leaf stands
    before the first.

    False when it must not leave (taken already, suppressed, handle gone, outreach stopped). What
    is suppressed after an attempt of unknown fate stands: its link may have arrived.
    """
    with transaction.atomic():
        invitation = rowlocks.invitation(invitation_id)
        now = clock.now()
        campaign = invitation.campaign
        if area.is_stopped(Area.OUTREACH, namespace=campaign.namespace_id):
            return False
        suppressed = _is_suppressed(campaign.namespace_id, invitation.recipient_index)
        if invitation.state != core.State.COMMITTED:
            return not suppressed and _waits(invitation, now=now)
        if suppressed:
            _write(invitation, core.close(invitation.snapshot()), why="suppressed", now=now)
            return False
        until = now + timedelta(days=campaign.expires_in_days)
        invitation.sent_at = now
        _write(invitation, core.send(invitation.snapshot(), expires_at=until), why="", now=now)
        record.log(_sent(invitation), namespace=campaign.namespace_id, at=now)
        return True


def _waits(invitation: Invitation, *, now: datetime) -> bool:
    """An earlier attempt got no answer, and the offer still stands."""
    until = invitation.expires_at
    if invitation.state != core.State.SENT or invitation.mailed_at is not None:
        return False
    return until is not None and now < until


def mailed(*, invitation_id: str) -> None:
    """A server took the mail, or refused it for good: it does not leave again."""
    with transaction.atomic():
        invitation = rowlocks.invitation(invitation_id)
        if invitation.mailed_at is None:
            invitation.mailed_at = clock.now()
            invitation.save(update_fields=["mailed_at"])


def sent(*, campaign_id: str) -> None:
    """Every mail of the campaign has its fate."""
    with transaction.atomic():
        campaign = rowlocks.campaign(campaign_id)
        clock.now()
        if area.is_stopped(Area.OUTREACH, namespace=campaign.namespace_id):
            return  # the lift orders the rest
        if campaign.state == core.CampaignState.SENDING:
            campaign.state = core.CampaignState.SENT
            campaign.save(update_fields=["state"])


def _is_suppressed(namespace: str, address_index: str) -> bool:
    rows = Suppression.objects.filter(namespace_id=namespace, address_index=address_index)
    return rows.exists()


def _sent(invitation: Invitation) -> Event:
    campaign = invitation.campaign
    everyone = campaign.invitation_set.order_by("position")
    leaves = [each.candidate for each in everyone]
    read = merkle.reader([merkle.leaf_hash(leaf) for leaf in leaves])
    path = merkle.inclusion_proof(invitation.position, len(leaves), read)
    body = {
        "campaign": campaign.id,
        "candidate": leaves[invitation.position].hex(),
        "path": {
            "index": invitation.position,
            "size": len(leaves),
            "path": [node.hex() for node in path],
        },
        "expires_at": instant(cast(datetime, invitation.expires_at)),
    }
    committed = {
        "price": amount(Money(campaign.price_minor, campaign.currency)),
        "recipient": invitation.recipient_index,
        "handle": campaign.handle.handle,
    }
    return Event("InvitationSent", invitation.id, body, committed)


def by_token(token: str) -> Invitation:
    """The invitation of a link. Refuses `not_found`."""
    rows = Invitation.objects.select_related("campaign__handle", "campaign__namespace")
    found = rows.filter(token_digest=secrets.digest(token)).first()
    if found is None:
        raise NotFound("no such invitation")
    return found


def accept(*, token: str, by: str) -> Sale:
    """The recipient takes the handle at the price; the first acceptance wins.

    Refuses `expired`, `already_closed`, `not_allowed` for another member (the link is not used
    up), `phase_closed`, `sale_slot_taken`, `not_linked`, `staff_may_not`, `name_needed`,
    `screening_held`, `screening_stale`.
    """
    found = by_token(token)
    screening.expect_all_clear(found.campaign.namespace_id, [by], by=by)
    with transaction.atomic():
        phase = rowlocks.namespace_shared(found.campaign.namespace_id).phase
        invitation = rowlocks.invitation(found.id)
        (buyer,) = rowlocks.parties(by)
        now = clock.now()
        access.expect_phase(phase, access.Way.INVITATION)
        mails = MailAddress.objects.filter(member_id=by, replaced_at=None)
        addresses = frozenset(mails.values_list("address_index", flat=True))
        decided = core.accept(invitation.snapshot(), addresses=addresses, now=now)
        handles.expect_house_may_sell(invitation.campaign.handle.snapshot())
        sale = _agree(invitation, buyer=buyer, price=decided.price, now=now)
        _write(invitation, decided, why="", now=now)
        _close_others(invitation, now=now)
        return sale


def _agree(invitation: Invitation, *, buyer: Member, price: Money, now: datetime) -> Sale:
    campaign = invitation.campaign
    place = campaign.namespace_id
    body = {"campaign": campaign.id, "position": invitation.position}
    record.log(Event("InvitationAccepted", invitation.id, body), namespace=place, at=now)
    return sale_flow.agree(
        row=campaign.handle,
        kind=sales.Kind.PRIMARY,
        mechanism="invitation",
        by=invitation.id,
        buyer=buyer,
        seller=listings.house(place),
        price=price,
        now=now,
        private=True,
    )


def _close_others(taken: Invitation, *, now: datetime) -> None:
    """The handle is sold: the campaign ends, for its other recipients too."""
    campaign = taken.campaign
    campaign.state = core.CampaignState.CLOSED
    campaign.save(update_fields=["state"])
    _close_all(campaign, but=taken.id, why="sold", now=now)


def _close_all(campaign: Campaign, *, but: str, why: str, now: datetime) -> None:
    open_ = campaign.invitation_set.filter(state__in=(core.State.COMMITTED, core.State.SENT))
    for other in open_.exclude(pk=but).order_by("position"):
        other.campaign = campaign
        _write(other, core.close(other.snapshot()), why=why, now=now)


def close_for(row: Handle, *, why: str, now: datetime) -> None:
    """A locked handle left the market: every campaign for it ends."""
    for campaign in Campaign.objects.filter(handle=row).exclude(state="closed"):
        campaign.handle = row
        campaign.state = core.CampaignState.CLOSED
        campaign.save(update_fields=["state"])
        _close_all(campaign, but="", why=why, now=now)


def decline(*, token: str) -> Invitation:
    """No, thank you: the link alone may say so. Refuses `expired`, `already_closed`."""
    found = by_token(token)
    with transaction.atomic():
        invitation = rowlocks.invitation(found.id)
        now = clock.now()
        _write(invitation, core.decline(invitation.snapshot(), now=now), why="declined", now=now)
        return invitation


def expire(*, invitation_id: str) -> None:
    """Nobody answered in time. Early or repeated calls do nothing."""
    with transaction.atomic():
        invitation = rowlocks.invitation(invitation_id)
        now = clock.now()
        until = invitation.expires_at
        if invitation.state != core.State.SENT or until is None or now < until:
            return
        if area.is_stopped(Area.SALES, namespace=invitation.campaign.namespace_id):
            return
        _write(invitation, core.expire(invitation.snapshot(), now=now), why="expired", now=now)


def unsubscribe(*, token: str) -> None:
    """No private offers to the link's address any more. A second time is nothing.

    Refuses `not_found`.
    """
    found = by_token(token)
    with transaction.atomic():
        row = Suppression(
            namespace_id=found.campaign.namespace_id,
            address_index=found.recipient_index,
            reason=core.Silence.UNSUBSCRIBED,
            at=clock.now(),
        )
        Suppression.objects.bulk_create([row], ignore_conflicts=True)


def _write(invitation: Invitation, decided: core.Invitation, *, why: str, now: datetime) -> None:
    invitation.state, invitation.expires_at = decided.state, decided.expires_at
    if why:
        invitation.closed_at = now
        body = {
            "campaign": invitation.campaign_id,
            "position": invitation.position,
            "why": why,
        }
        place = invitation.campaign.namespace_id
        record.log(Event("InvitationClosed", invitation.id, body), namespace=place, at=now)
    invitation.save()
