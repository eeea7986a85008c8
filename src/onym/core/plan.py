"""A plan: how a sweep is carried out, in stages, under a daily cap, never through a release stop.

Everything here is a pure function of the plan, what was sent and when the stop was on, so the state
of a billion untouched handles costs no row. See docs/concepts/reclaim.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

DAY = timedelta(days=1)
GRACE = timedelta(hours=12)
"""How late a later notice may go out before it moves the deadline; shorter than the last notice."""

Sent = tuple[datetime | None, ...]
"""When each notice was sent, the first one first; None: not yet."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a handle stands in a plan: its stage (from 0) and, within it, its day (from 0)."""

    stage: int
    day: int


@dataclass(frozen=True, slots=True)
class Stage:
    """From `starts_at` on, `percent` of all findings are under way, those of earlier stages too."""

    percent: int
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """The findings of one place: what was sent to their holders, and how many rest how long."""

    place: Place
    sent: Sent
    resting: tuple[tuple[int, int], ...] = ()  # (resting days, findings)


@dataclass(frozen=True, slots=True)
class Stop:
    """The release stop was on in [`since`, `until`); None: it still is."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep taken into use. `first` are canonical handles that are put into the first stage."""

    id: str
    as_of: datetime
    notice_days: tuple[int, ...]
    stages: tuple[Stage, ...]
    days: int = 1
    daily: int = 1_000_000
    first: frozenset[str] = frozenset()
    parts: tuple[Part, ...] = ()

    def part(self, place: Place) -> Part:
        """What is known of a place; nothing was sent to a place that has no part."""
        silent: Sent = (None,) * len(self.notice_days)
        return next((p for p in self.parts if p.place == place), Part(place, silent))

    def starts_at(self, place: Place) -> datetime:
        """When the first notice is due."""
        return self.stages[place.stage].starts_at + place.day * DAY


def place(plan: Plan, canonical: str) -> Place:
    """Where a handle stands, drawn from SHA-256(plan ‖ 0x00 ‖ handle): nobody can choose it.

    The first 52 bits as a number u: the stage is the first whose percent × 100 lies above
    u mod 10,000, the day is (u div 10,000) mod `days`.
    """
    drawn = hashlib.sha256(f"{plan.id}\0{canonical}".encode()).hexdigest()
    number = int(drawn[:13], 16)
    share, rest = number % 10_000, number // 10_000
    if canonical in plan.first:
        return Place(0, rest % plan.days)
    stages = enumerate(plan.stages)
    stage = next(i for i, stage in stages if share < stage.percent * 100)
    return Place(stage, rest % plan.days)


def days_for(counts: Iterable[int], *, daily: int) -> int:
    """A first guess at how many days a plan spreads over, so that no part exceeds the cap."""
    return max(-(-sum(counts) // daily), 1)


def notice_due(plan: Plan, part: Part, number: int) -> datetime | None:
    """When notice `number` (from 1) must go out; None until the one before it has been sent."""
    if number == 1:
        return plan.starts_at(part.place)
    first = part.sent[0]
    if first is None or part.sent[number - 2] is None:
        return None
    return first + (plan.notice_days[0] - plan.notice_days[number - 1]) * DAY


def deadline(sent: Sent, *, notice_days: tuple[int, ...], now: datetime) -> datetime | None:
    """Until when the holder may keep: the first notice **sent** + the notice period, never earlier.

    A later notice that is late by more than `GRACE` moves it, so that its days are always given;
    one that was never sent keeps it ahead of `now`. None before the first notice was sent.
    """
    if not sent or sent[0] is None:
        return None
    promised = end = sent[0] + notice_days[0] * DAY
    for at, days in zip(sent[1:], notice_days[1:], strict=True):
        given = at or now
        if given > promised - days * DAY + GRACE:
            end = max(end, given + days * DAY)
    return end


def blocked(at: datetime, *, stops: Iterable[Stop]) -> datetime | None:
    """The first instant from `at` on at which the release stop is off; None while it is on."""
    for stop in sorted(stops, key=lambda stop: stop.since):
        if stop.since <= at:
            if stop.until is None:
                return None
            at = max(at, stop.until)
    return at


def is_on(stops: Iterable[Stop], *, now: datetime) -> bool:
    """Whether the release stop is on at `now`."""
    return any(s.since <= now and (s.until is None or now < s.until) for s in stops)


def expected_deadline(plan: Plan, part: Part, *, now: datetime) -> datetime:
    """The deadline, or the one to expect if the first notice goes out when it is due."""
    known = deadline(part.sent, notice_days=plan.notice_days, now=now)
    return known or max(plan.starts_at(part.place), now) + plan.notice_days[0] * DAY


@lru_cache(maxsize=64)
def releases(
    plan: Plan, *, stops: tuple[Stop, ...], now: datetime
) -> Mapping[tuple[Place, int], datetime | None]:
    """When the findings of each (place, resting days) may be sold; None while the stop is on.

    They come in the order in which they fall due, outside every stop, at most `daily` a day (a day
    of UTC); what finds its day full waits for the next one. A part larger than the cap has a day
    of its own.
    """
    due = sorted(
        (expected_deadline(plan, part, now=now) + resting * DAY, part.place, resting, count)
        for part in plan.parts
        for resting, count in part.resting
    )
    taken: Counter[object] = Counter()
    found: dict[tuple[Place, int], datetime | None] = {}
    for at, where, resting, count in due:
        free = _first_free(at, count=count, daily=plan.daily, taken=taken, stops=stops)
        found[where, resting] = free
        if free is not None:
            taken[free.date()] += count
    return found


def _first_free(
    at: datetime, *, count: int, daily: int, taken: Counter[object], stops: tuple[Stop, ...]
) -> datetime | None:
    free = blocked(at, stops=stops)
    while free is not None and taken[free.date()] and taken[free.date()] + count > daily:
        midnight = datetime.combine(free.date() + DAY, time(), UTC)
        free = blocked(midnight, stops=stops)
    return free


def release_at(
    plan: Plan, where: Place, resting_days: int, *, stops: tuple[Stop, ...], now: datetime
) -> datetime | None:
    """When one finding may be sold: see `releases`, which knows every part that has findings.

    `now` matters only while a notice is overdue, when all is an expectation: the hour will do.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    table = releases(plan, stops=stops, now=hour)
    if (where, resting_days) in table:
        return table[where, resting_days]
    end = expected_deadline(plan, plan.part(where), now=now)
    return blocked(end + resting_days * DAY, stops=stops)
