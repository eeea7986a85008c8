"""A plan: how a sweep is carried out, in stages, under a daily cap, never through a release stop.

Everything here is a pure function of the plan, what was sent and when the stop was on, so the state
of a billion untouched handles costs no row. See docs/concepts/reclaim.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

DAY = timedelta(days=1)
BUCKETS = 10_000
"""A stock is cut into so many buckets by a hash of the handle; one percent is a hundred of them."""

GRACE = timedelta(hours=12)
"""How late a later notice may go out before it moves the deadline; shorter than the last notice."""

Sent = tuple[datetime | None, ...]
"""When each notice was sent, the first one first; None: not yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """The findings in the buckets [`low`, `high`): when their first notice is due, what was sent
    to their holders, and how many of them rest how long, as (days, findings).
    """

    low: int
    high: int
    starts_at: datetime
    sent: Sent
    resting: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """The release stop was on in [`since`, `until`); None: it still is."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep taken into use; `parts` are in the order of their buckets and do not overlap.

    `idle_days` is the policy's longest silence: a keep or a change of hands counts for so long.
    """

    id: str
    as_of: datetime
    notice_days: tuple[int, ...]
    idle_days: int = 0
    daily: int = 1_000_000
    parts: tuple[Part, ...] = ()

    def part(self, bucket: int) -> Part | None:
        """The part that a bucket belongs to; None where the plan has no findings."""
        found = bisect_right(self.parts, bucket, key=lambda part: part.low) - 1
        part = self.parts[found] if found >= 0 else None
        return part if part is not None and bucket < part.high else None


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece of a stock: its stage (from 0), its day within the stage, its buckets."""

    stage: int
    day: int
    low: int
    high: int


def cut(
    percents: Sequence[int], *, count: Callable[[int, int], int], daily: int
) -> tuple[Cut, ...]:
    """Cut a stock into stages that reach so many percent of it, and stages into days.

    `count(low, high)` counts findings. A day has at most `daily` of them, or a single bucket;
    a piece without any is left out.
    """
    cuts: list[Cut] = []
    low = 0
    for stage, percent in enumerate(percents):
        end, day = percent * BUCKETS // 100, 0
        while low < end:
            high = _most(low, end, count=count, daily=daily)
            if count(low, high):
                cuts.append(Cut(stage, day, low, high))
                day += 1
            low = high
    return tuple(cuts)


def _most(low: int, end: int, *, count: Callable[[int, int], int], daily: int) -> int:
    """The last bucket end up to which no more than `daily` findings lie."""
    least, most = low + 1, end
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if count(low, middle) <= daily else (least, middle - 1)
    return least


def notice_due(plan: Plan, part: Part, number: int) -> datetime | None:
    """When notice `number` (from 1) must go out; None until the one before it has been sent."""
    if number == 1:
        return part.starts_at
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
    return known or max(part.starts_at, now) + plan.notice_days[0] * DAY


@lru_cache(maxsize=64)
def releases(
    plan: Plan, *, stops: tuple[Stop, ...], now: datetime
) -> Mapping[tuple[int, int], datetime | None]:
    """When the findings of each (part's `low`, resting days) may be sold; None under a stop.

    They come in the order in which they fall due, outside every stop, at most `daily` a day (a day
    of UTC); what finds its day full waits for the next one. A part larger than the cap has a day
    of its own.
    """
    due = sorted(
        (expected_deadline(plan, part, now=now) + resting * DAY, part.low, resting, count)
        for part in plan.parts
        for resting, count in part.resting
    )
    taken: Counter[object] = Counter()
    found: dict[tuple[int, int], datetime | None] = {}
    for at, low, resting, count in due:
        free = _first_free(at, count=count, daily=plan.daily, taken=taken, stops=stops)
        found[low, resting] = free
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
    plan: Plan, part: Part, resting_days: int, *, stops: tuple[Stop, ...], now: datetime
) -> datetime | None:
    """When the findings of a part that rest so long may be sold: see `releases`.

    `now` matters only while a notice is overdue, when all is an expectation: the hour will do.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    table = releases(plan, stops=stops, now=hour)
    if (part.low, resting_days) in table:
        return table[part.low, resting_days]
    end = expected_deadline(plan, part, now=now)
    return blocked(end + resting_days * DAY, stops=stops)
