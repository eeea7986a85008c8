"""Rate limits, on the machine's clock and for all processes alike."""

from __future__ import annotations

from dataclasses import dataclass

from onym.core.errors import RateLimited
from onym.store import limits, secrets


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` times in `seconds`."""

    most: int
    seconds: int


LIMITS = {
    "reclaim": Limit(300, 60),  # by address: not a shopping list of idle handles
    "sign_in": Limit(30, 300),  # by mail address: not a way to guess passwords
}


def spend(what: str, *, who: str) -> None:
    """Count one more `what` by `who` (kept as a keyed digest). Refuses `rate_limited`."""
    limit = LIMITS[what]
    key = secrets.index(who, purpose=f"limit/{what}")
    if limits.count(key=key, seconds=limit.seconds) > limit.most:
        raise RateLimited(
            f"at most {limit.most} times in {limit.seconds} seconds", retry_after=limit.seconds
        )
