"""How an account goes on living: whoever is active at the start logs in again and again.

Logins are a function of the account's rhythm and the clock, so nobody has to write them down.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

_DAY = 86_400
ACTIVE_WITHIN = 30 * _DAY


class Rhythm(NamedTuple):
    """Instants and periods in seconds. Without `next_login` the account stays silent.

    It logs in at `next_login` and every `period` after, and posts at the first and each
    `post_every`-th of those logins, if it posts at all.
    """

    login: int | None
    post: int | None
    posts: int | None
    next_login: int | None = None
    period: int | None = None
    post_every: int | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """What can be seen of an account at an instant."""

    login: int | None
    post: int | None
    posts: int | None


def begin(
    *, login: int | None, post: int | None, posts: int | None, active: bool, now: int, seed: int
) -> Rhythm:
    """The rhythm from `now` on: regular if the account was active within 30 days, else silence."""
    if not active or login is None or now - login >= ACTIVE_WITHIN:
        return Rhythm(login, post, posts)
    rng = Random(seed)  # noqa: S311  # sample data, not a secret
    period = int((0.25 + rng.random() ** 2 * 12) * _DAY)
    patience = max(60, min(period, (ACTIVE_WITHIN - (now - login)) // 2))
    first = now + 1 + int(rng.random() * patience)
    writes = post is not None and now - post < 4 * ACTIVE_WITHIN
    return Rhythm(login, post, posts, first, period, 1 + int(rng.random() * 6) if writes else None)


def life(rhythm: Rhythm, *, now: int) -> Life:
    """Last login, last post and number of posts at `now`."""
    if rhythm.next_login is None or rhythm.period is None or now < rhythm.next_login:
        return Life(rhythm.login, rhythm.post, rhythm.posts)
    logins = (now - rhythm.next_login) // rhythm.period
    login = rhythm.next_login + logins * rhythm.period
    if rhythm.post_every is None:
        return Life(login, rhythm.post, rhythm.posts)
    rounds = logins // rhythm.post_every
    posted = rhythm.next_login + rounds * rhythm.post_every * rhythm.period
    return Life(login, posted, (rhythm.posts or 0) + rounds + 1)
