"""A handle as the market sees it: its state, who may sell it, and what keeps it from moving.

See docs/concepts/handles.md. The row of a touched handle wins over every snapshot.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from onym.core.errors import HandleLocked, HandleUnavailable


class State(StrEnum):
    """Where a handle stands; the order is that of a reclaimed handle's life."""

    FREE = "free"  # nobody holds it, nobody ever sold it
    HELD = "held"  # an account points to it
    WARNED = "warned"  # its holder was told and may keep it
    RESTING = "resting"  # due process is over, still reversible
    RELEASED = "released"  # may be sold
    RESERVED = "reserved"  # staff may grant it
    PROTECTED = "protected"  # a rights-holder comes first
    PROHIBITED = "prohibited"  # nobody ever
    RETIRED = "retired"  # never assigned again


@dataclass(frozen=True, slots=True)
class Handle:
    """A row's snapshot. `locked_by` is the sale that holds it in escrow."""

    namespace: str
    handle: str
    state: State
    account_id: str | None
    locked_by: str | None = None
    fence: int = 0
    minimum_offer_minor: int | None = None
    cool_off_until: datetime | None = None
    may_not_sell_until: datetime | None = None
    appeal_open: bool = False
    dispute_open: bool = False
    retained_for: str | None = None
    retained_until: datetime | None = None


def facts(handle: Handle) -> dict[str, Any]:
    """What two people see of a handle that they decide about."""
    return {
        "handle": handle.handle,
        "state": handle.state.value,
        "account_id": handle.account_id,
        "locked_by": handle.locked_by,
        "appeal_open": handle.appeal_open,
    }


def expect_unlocked(handle: Handle) -> None:
    """Refuses `handle_locked` while a sale, a dispute or an appeal holds the handle (H6)."""
    if handle.locked_by:
        raise HandleLocked("a sale holds this handle", why="sale")
    if handle.dispute_open:
        raise HandleLocked("a dispute about this handle is open", why="dispute")
    if handle.appeal_open:
        raise HandleLocked("an appeal about this handle is open", why="appeal")


def expect_house_may_sell(handle: Handle) -> None:
    """The platform sells what is released, and nothing else."""
    expect_unlocked(handle)
    if handle.state is not State.RELEASED:
        raise HandleUnavailable("only a released handle may be sold", rung=handle.state.value)


def expect_member_may_sell(handle: Handle, *, accounts: tuple[str, ...], now: datetime) -> None:
    """A member sells the handle that one of `accounts` holds, outside every cool-off."""
    expect_unlocked(handle)
    if handle.account_id is None or handle.account_id not in accounts:
        raise HandleUnavailable("only its holder may sell a handle", rung="held")
    expect_tradable(handle, now=now)


def expect_tradable(handle: Handle, *, now: datetime) -> None:
    """A held handle may change hands unless it is being reclaimed or cooling off.

    Whoever is warned keeps first, and then waits: an account that wakes may have been stolen.
    """
    expect_unlocked(handle)
    if handle.state is not State.HELD:
        raise HandleUnavailable("the handle is not held", rung=handle.state.value)
    if handle.retained_until and now < handle.retained_until:
        raise HandleUnavailable("the handle is retained for its last holder", rung="reserved")
    for until in (handle.cool_off_until, handle.may_not_sell_until):
        if until and now < until:
            raise HandleLocked(
                "the handle may not be sold again yet", why="cool_off", until=until.isoformat()
            )


def lock(handle: Handle, *, sale: str) -> Handle:
    """The handle in escrow of `sale`; locked twice is refused."""
    expect_unlocked(handle)
    return dataclasses.replace(handle, locked_by=sale)


def unlock(handle: Handle, *, sale: str) -> Handle:
    """Free of `sale`'s lock; another sale's lock is refused."""
    if handle.locked_by != sale:
        raise HandleLocked("another sale holds this handle", why="sale")
    return dataclasses.replace(handle, locked_by=None)
