"""A transfer: one ordered write to the platform, asked about until its outcome is known.

An outcome is known when the platform answered this very request (its idempotency key) or was never
asked. Money moves on a read-back, never on an answer alone. See docs/concepts/transfer.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
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


def is_kept(vacated: str | None, *, placeholder: str) -> bool:
    """Whether the handle that the receiving account gives up is kept for it: its own placeholder
    is not, which no one else would want and which it may be given again.
    """
    return vacated is not None and vacated != placeholder


class Look(StrEnum):
    """What the last look at the platform says before a handle moves."""

    GO = "go"
    WAIT = "wait"  # no fresh answer: no transfer
    THERE = "there"  # the buyer holds it already, by the platform's own ways: it is delivered
    RETURNED = "returned"  # the holder came back before the money was in escrow
    GONE = "gone"  # somebody else holds the handle now
    LATE = "late"  # the time to deliver is over, and nothing was ever asked for
    UNFIT = "unfit"  # the account that is sold whole may not change hands, see core/term


def last_look(
    *,
    holder: str | None,
    expected_holder: str | None,
    to: str,
    last_seen: datetime | None,
    known_last_seen: datetime | None,
    funded_at: datetime | None,
    is_over: bool = False,
    unfit: str = "",
) -> Look:
    """Decides on fresh answers: the holder now, and its last activity where that matters.

    A sign of activity newer than the one the sweep saw, and before the money was in escrow,
    gives the handle back; one after it comes too late (H9). `funded_at` is None for a trade.
    An answer that says less than the sweep knew is no fresh one. Money goes back only on a look
    that shows the handle elsewhere than with the buyer (H4), also once time `is_over`.
    """
    if holder != expected_holder:
        return Look.THERE if holder == to else Look.GONE
    if is_over:
        return Look.LATE
    if unfit:
        return Look.UNFIT
    if funded_at is None:
        return Look.GO
    if last_seen is None:
        return Look.GO if known_last_seen is None else Look.WAIT
    is_news = known_last_seen is None or last_seen > known_last_seen
    return Look.RETURNED if is_news and last_seen < funded_at else Look.GO


LAG = timedelta(hours=1)
"""How far a platform's reads may lag behind its own answer that it moved a handle: so long a
read that shows the old holder proves nothing."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A move to whoever a read-back named: it changes nothing but the fence, and the platform
    does it only while that account really holds the handle. `done` is None until it answers.
    """

    fence: int
    holder: str | None
    done: bool | None = None


class Next(StrEnum):
    """What follows from a read-back."""

    DELIVERED = "delivered"  # the buyer holds the handle
    AGAIN = "again"  # nothing is sure yet: ask again later
    BAR = "bar"  # raise the fence before anything is given back
    GIVE_UP = "give_up"  # the buyer does not hold it, and no write can still arrive


def after_read_back(
    *,
    holder: str | None,
    to: str,
    state: State,
    answered_at: datetime | None,
    delivery_until: datetime | None,
    bar: Bar | None,
    now: datetime,
) -> Next:
    """Decides on a read that names `holder`. A refused move needs no bar: its answer is final.

    After a *done* a read alone gives nothing back: the platform may show old news, or a copy of
    the request may be under way. A bar that is done proves the read and shuts out the copy.
    """
    if holder == to:
        return Next.DELIVERED
    if state is State.REFUSED:
        return Next.GIVE_UP
    is_over = delivery_until is not None and now >= delivery_until
    is_sure = state is State.DONE and now - (answered_at or now) >= LAG
    if not (is_over and is_sure):
        return Next.AGAIN
    if bar is not None and bar.done is None:
        return Next.AGAIN
    is_barred = bar is not None and bar.done is True and bar.holder == holder
    return Next.GIVE_UP if is_barred else Next.BAR
