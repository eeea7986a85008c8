"""A transfer: one ordered write to the platform, asked about until its outcome is known.

An outcome is known when the platform answered this very request (its idempotency key) or was never
asked. Money moves on a read-back, never on an answer alone. See docs/concepts/transfer.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onym.core.errors import AlreadyClosed


class State(StrEnum):
    """Where a write to the platform stands."""

    PENDING = "pending"  # ordered, not asked yet: may still be abandoned
    SENT = "sent"  # about to be asked: from here on only the platform knows
    UNKNOWN = "unknown"  # asked, no answer: ask again with the same key
    DONE = "done"  # the platform says it moved
    REFUSED = "refused"  # the platform says it did not and will not
    ABANDONED = "abandoned"  # never asked and never to be asked


FINAL = frozenset({State.DONE, State.REFUSED, State.ABANDONED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.SENT, State.ABANDONED}),
    State.SENT: frozenset({State.SENT, State.UNKNOWN, State.DONE, State.REFUSED}),
    State.UNKNOWN: frozenset({State.SENT, State.UNKNOWN, State.DONE, State.REFUSED}),
    State.DONE: frozenset(),
    State.REFUSED: frozenset(),
    State.ABANDONED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    source: str | None
    to: str
    expected_holder: str | None
    fence: int
    state: State = State.PENDING


def move(transfer: Transfer, to: State) -> Transfer:
    """The transfer in state `to`; a step the table does not have is refused."""
    if to not in TRANSITIONS[transfer.state]:
        raise AlreadyClosed(f"a {transfer.state.value} transfer cannot become {to.value}")
    return dataclasses.replace(transfer, state=to)


class Look(StrEnum):
    """What the last look at the platform says before a handle moves."""

    GO = "go"
    WAIT = "wait"  # no fresh answer: no transfer
    RETURNED = "returned"  # the holder came back before the money was in escrow
    GONE = "gone"  # somebody else holds the handle now


def last_look(
    *,
    holder: str | None,
    expected_holder: str | None,
    last_seen: datetime | None,
    known_last_seen: datetime | None,
    funded_at: datetime | None,
) -> Look:
    """Decides on fresh answers: the holder now, and its last activity where that matters.

    A sign of activity newer than the one the sweep saw, and before the money was in escrow,
    gives the handle back; one after it comes too late (H9). `funded_at` is None for a trade.
    """
    if holder != expected_holder:
        return Look.GONE
    if funded_at is None or last_seen is None:
        return Look.GO
    is_news = known_last_seen is None or last_seen > known_last_seen
    return Look.RETURNED if is_news and last_seen < funded_at else Look.GO
