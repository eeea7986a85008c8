"""Linking: how a member proves to hold an account of the platform, and how they let it go.

docs/concepts/sign-in.md.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onym.core.errors import AlreadyClosed, Expired, HandleLocked, NotFound

CODE_LASTS = timedelta(hours=1)
ENTROPY_BYTES = 10
UNLINK_DELAY = timedelta(days=30)
"""An account that was one's own counts as one's own so long after one wants to be rid of it: who
lists on one account cannot buy on another by unlinking it."""

POSTPONED = timedelta(days=1)
KIN_AFTER = timedelta(days=365)
"""Who links an account that was another member's in this time counts as one with them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A member's account; `unlinks_at` once they want to be rid of it."""

    account_id: str
    is_primary: bool
    unlinks_at: datetime | None = None


def code(entropy: bytes) -> str:
    """What the member writes into the account's profile: `onym-` and 16 letters and digits."""
    return "onym-" + base64.b32encode(entropy).decode().lower().rstrip("=")


def is_written(code: str, *, profile: str | None, ordered_at: datetime, now: datetime) -> bool:
    """Whether the profile's text, as the platform tells it now, has the code. Refuses `expired`."""
    if now >= ordered_at + CODE_LASTS:
        raise Expired("the code has expired; ask for a new one")
    return code in (profile or "").lower()


def primary(links: Sequence[Link], account_id: str) -> Link:
    """The link that shall be primary. Refuses `not_found`, `already_closed` if it leaves or is."""
    found = _of(links, account_id)
    if found.is_primary or found.unlinks_at is not None:
        raise AlreadyClosed("this account is primary already, or is about to be unlinked")
    return found


def unlinks_at(
    links: Sequence[Link], account_id: str, *, busy: Sequence[str], now: datetime
) -> datetime:
    """When the account is no longer linked. `busy` names what is open in its name: sales, listings.

    Refuses `not_found`, `already_closed` if it is under way, `handle_locked` while it is busy.
    """
    found = _of(links, account_id)
    if found.unlinks_at is not None:
        raise AlreadyClosed("this account is about to be unlinked already")
    if busy:
        raise HandleLocked("a sale or a listing of this account is open", why="open_sale")
    return now + UNLINK_DELAY


def ends(link: Link, *, busy: Sequence[str], now: datetime) -> bool | datetime:
    """At `unlinks_at`: True, it ends now; an instant, put off until then; False, too early."""
    if link.unlinks_at is None or now < link.unlinks_at:
        return False
    return now + POSTPONED if busy else True


def _of(links: Sequence[Link], account_id: str) -> Link:
    found = next((link for link in links if link.account_id == account_id), None)
    if found is None:
        raise NotFound("this account is not linked to you")
    return found
