"""Invitations: private offers of one handle to candidates who were committed beforehand."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onym.core.errors import AlreadyClosed, Expired, NotAllowed
from onym.core.money import Money


class CampaignState(StrEnum):
    """A campaign's way; the commitment stands in the log before anything is sent."""

    DRAFT = "draft"  # candidates committed, nothing sent
    SENDING = "sending"  # ordered; each mail waits for the commitment's checkpoint
    SENT = "sent"  # every mail has its fate
    CLOSED = "closed"  # sold, or ended by the desk


class State(StrEnum):
    """One recipient's invitation; only an acceptance, a decline or expiry uses it up."""

    COMMITTED = "committed"  # in the log, not sent
    SENT = "sent"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    CLOSED = "closed"  # somebody else was faster, or the handle is no longer for sale


def candidate(salt: bytes, recipient_index: str) -> bytes:
    """The leaf that stands for one candidate under the campaign's root."""
    return hashlib.sha256(b"onym/v1/candidate\x00" + salt + recipient_index.encode()).digest()


class Silence(StrEnum):
    """Why an address is written to no more."""

    UNSUBSCRIBED = "unsubscribed"  # private offers alone: they are what the letter offers to end
    ERASED = "erased"  # everything but the code that whoever reads there has just asked for


def is_silenced(kind: str, *, by: str | None) -> bool:
    """Whether a letter of this kind stays away, given why its address is suppressed, if it is."""
    if by is None or kind == "sign_in_code":
        return False
    return kind == "invitation" or by != Silence.UNSUBSCRIBED


@dataclass(frozen=True, slots=True)
class Invitation:
    id: str
    recipient_index: str
    price: Money
    state: State
    expires_at: datetime | None


def accept(invitation: Invitation, *, addresses: frozenset[str], now: datetime) -> Invitation:
    """Accepted by the member whose verified address it was sent to.

    Another member is refused `not_allowed` and the link is not used up.
    """
    _expect_open(invitation, now=now)
    if invitation.recipient_index not in addresses:
        raise NotAllowed("this invitation was sent to another address")
    return dataclasses.replace(invitation, state=State.ACCEPTED)


def decline(invitation: Invitation, *, now: datetime) -> Invitation:
    """The link alone may decline: nobody else has it."""
    _expect_open(invitation, now=now)
    return dataclasses.replace(invitation, state=State.DECLINED)


def send(invitation: Invitation, *, expires_at: datetime) -> Invitation:
    """On its way to its recipient, good until `expires_at`."""
    if invitation.state is not State.COMMITTED:
        raise AlreadyClosed(f"the invitation is {invitation.state.value}")
    return dataclasses.replace(invitation, state=State.SENT, expires_at=expires_at)


def expire(invitation: Invitation, *, now: datetime) -> Invitation:
    """Nobody answered in time."""
    if invitation.state is not State.SENT or invitation.expires_at is None:
        raise AlreadyClosed(f"the invitation is {invitation.state.value}")
    if now < invitation.expires_at:
        raise NotAllowed("the invitation still stands")
    return dataclasses.replace(invitation, state=State.EXPIRED)


def close(invitation: Invitation) -> Invitation:
    """Void because the handle went elsewhere."""
    if invitation.state not in (State.COMMITTED, State.SENT):
        raise AlreadyClosed(f"the invitation is {invitation.state.value}")
    return dataclasses.replace(invitation, state=State.CLOSED)


def _expect_open(invitation: Invitation, *, now: datetime) -> None:
    if invitation.state is State.EXPIRED:
        raise Expired("the invitation has expired")
    if invitation.state is not State.SENT or invitation.expires_at is None:
        raise AlreadyClosed(f"the invitation is {invitation.state.value}")
    if now >= invitation.expires_at:
        raise Expired("the invitation has expired")
