"""A plan's arithmetic: stages, deadlines, the daily cap and the release stop."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import plan as plans
from onym.core.plan import Cut, Part, Plan, Stop

T = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = (30, 14, 3)


def day(count: float) -> datetime:
    return T + timedelta(days=count)


def plan(*parts: Part, daily: int = 1_000_000) -> Plan:
    return Plan(id="pln_1", as_of=day(-1), notice_days=DAYS, daily=daily, parts=parts)


def evenly(each: int):
    return lambda low, high: (high - low) * each


@pytest.mark.parametrize(
    ("each", "daily", "cuts"),
    [
        (0, 100, ()),
        (1, 10_000, (Cut(0, 0, 0, 100), Cut(1, 0, 100, 1_000), Cut(2, 0, 1_000, 10_000))),
        (
            10,
            40_000,
            (
                Cut(0, 0, 0, 100),
                Cut(1, 0, 100, 1_000),
                Cut(2, 0, 1_000, 5_000),
                Cut(2, 1, 5_000, 9_000),
                Cut(2, 2, 9_000, 10_000),
            ),
        ),
    ],
)
def test_a_stock_is_cut_into_stages_and_days(each: int, daily: int, cuts: tuple[Cut, ...]) -> None:
    assert plans.cut((1, 10, 100), count=evenly(each), daily=daily) == cuts


def test_a_piece_without_findings_is_left_out() -> None:
    cuts = plans.cut((1, 10, 100), count=lambda low, high: int(low <= 500 < high), daily=9)
    assert cuts == (Cut(1, 0, 100, 1_000),)


@given(st.lists(st.integers(0, 9_999), max_size=200), st.integers(1, 60))
def test_cuts_cover_every_finding_once_and_keep_to_the_cap(found: list[int], daily: int) -> None:
    def count(low: int, high: int) -> int:
        return sum(low <= bucket < high for bucket in found)

    cuts = plans.cut((1, 10, 100), count=count, daily=daily)
    assert sum(count(c.low, c.high) for c in cuts) == len(found)
    assert all(a.high <= b.low for a, b in itertools.pairwise(cuts))
    assert all(count(c.low, c.high) <= daily or c.high == c.low + 1 for c in cuts)


@pytest.mark.parametrize(("bucket", "low"), [(0, 0), (99, 0), (100, None), (150, 120), (200, None)])
def test_a_bucket_belongs_to_one_part_or_none(bucket: int, low: int | None) -> None:
    made = plan(*(Part(a, b, T, (None,) * 3) for a, b in ((0, 100), (120, 200))))
    part = made.part(bucket)
    assert (part.low if part else None) == low


@pytest.mark.parametrize(
    ("sent", "now", "ends"),
    [
        ((None, None, None), 50, None),
        ((0, None, None), 0, 30),
        ((0, None, None), 16.5, 30),  # the second is due at 16 and may be half a day late
        ((0, None, None), 17, 31),  # later than that it pushes the deadline ahead of itself
        ((0, None, None), 90, 104),
        ((0, 16, None), 27, 30),
        ((0, 16, None), 28, 31),
        ((0, 16.4, 27.4), 99, 30),
        ((0, 20, 31), 99, 34),  # 20 + 14 and 31 + 3: its days are always given
        ((0, 20, 27), 99, 34),
        ((0, 16, 40), 99, 43),
    ],
)
def test_deadline_is_the_first_notice_and_its_period_and_never_earlier(
    sent: tuple[float | None, ...], now: float, ends: float | None
) -> None:
    told = tuple(None if at is None else day(at) for at in sent)
    found = plans.deadline(told, notice_days=DAYS, now=day(now))
    assert found == (None if ends is None else day(ends))


@pytest.mark.parametrize(
    ("number", "sent", "due"),
    [
        (1, (None, None, None), 14),
        (2, (None, None, None), None),
        (2, (15, None, None), 31),
        (3, (15, None, None), None),
        (3, (15, 31, None), 42),
    ],
)
def test_each_notice_waits_for_the_one_before_it(
    number: int, sent: tuple[float | None, ...], due: float | None
) -> None:
    told = tuple(None if at is None else day(at) for at in sent)
    found = plans.notice_due(plan(), Part(0, 9, day(14), told), number)
    assert found == (None if due is None else day(due))


OFF: tuple[Stop, ...] = ()


@pytest.mark.parametrize(
    ("at", "stops", "free"),
    [
        (5, OFF, 5),
        (5, ((0, 5),), 5),  # the instant at which it is lifted is free
        (4.9, ((0, 5),), 5),
        (0, ((0, 5),), 5),
        (-1, ((0, 5),), -1),
        (3, ((0, 5), (5, 9)), 9),
        (3, ((4, 9), (0, 5)), 9),
        (3, ((0, None),), None),
        (3, ((0, 4), (4, None)), None),
        (3, ((3.5, None),), 3),  # what was free before the stop stays so
    ],
)
def test_a_stop_holds_back_what_falls_due_in_it(
    at: float, stops: tuple[tuple[float, float | None], ...], free: float | None
) -> None:
    on = tuple(Stop(day(a), None if b is None else day(b)) for a, b in stops)
    assert plans.blocked(day(at), stops=on) == (None if free is None else day(free))


def told(at: float) -> plans.Sent:
    return (day(at), day(at + 16), day(at + 27))


def piece(low: int, sent: float, *resting: tuple[int, int]) -> Part:
    return Part(low, low + 1, day(sent), told(sent), resting)


def test_the_cap_of_a_day_moves_the_rest_to_the_next_midnight() -> None:
    made = plan(*(piece(i, 0, (30, 60)) for i in range(3)), daily=100)
    found = plans.releases(made, stops=(), now=T)
    assert [found[i, 30] for i in range(3)] == [
        day(60),
        datetime(2026, 8, 1, tzinfo=UTC),
        datetime(2026, 8, 2, tzinfo=UTC),
    ]


def test_what_piled_up_under_a_stop_is_let_go_at_the_pace_of_the_cap() -> None:
    made = plan(*(piece(i, i, (30, 60)) for i in range(3)), daily=120)
    found = plans.releases(made, stops=(Stop(day(0), day(100)),), now=T)
    assert found[0, 30] == found[1, 30] == day(100)
    assert found[2, 30] == datetime(2026, 9, 10, tzinfo=UTC)


spans = st.floats(min_value=0, max_value=400, allow_nan=False).map(lambda n: round(n, 3))
classes = st.tuples(st.sampled_from((30, 60, 90, 180)), st.integers(1, 80))


@st.composite
def stops(draw: st.DrawFn) -> tuple[Stop, ...]:
    edges = sorted(draw(st.lists(spans, max_size=5, unique=True)))
    pairs = zip(edges[::2], [*edges[1::2], None], strict=False)
    return tuple(Stop(day(a), None if b is None else day(b)) for a, b in pairs)


@st.composite
def plans_made(draw: st.DrawFn) -> Plan:
    resting = st.lists(classes, max_size=3, unique_by=lambda pair: pair[0])
    parts = [piece(i, draw(spans), *draw(resting)) for i in range(draw(st.integers(1, 5)))]
    return plan(*parts, daily=draw(st.integers(80, 200)))


@given(plans_made(), stops())
def test_nothing_is_released_early_in_a_stop_or_above_the_cap(
    made: Plan, on: tuple[Stop, ...]
) -> None:
    taken: Counter[object] = Counter()
    for (low, resting), at in plans.releases(made, stops=on, now=T).items():
        if at is None:
            assert on[-1].until is None
            continue
        part = made.part(low)
        assert part is not None
        assert part.sent[0] is not None
        assert at >= part.sent[0] + timedelta(days=30 + resting)
        assert not plans.is_on(on, now=at)
        taken[at.date()] += dict(part.resting)[resting]
    assert all(count <= made.daily for count in taken.values())


@given(plans_made(), stops(), spans)
def test_switching_the_stop_on_takes_back_nothing(
    made: Plan, on: tuple[Stop, ...], later: float
) -> None:
    before = tuple(stop for stop in on if stop.until is not None and stop.until <= day(later))
    free = plans.releases(made, stops=before, now=T)
    after = plans.releases(made, stops=(*before, Stop(day(later))), now=T)
    for key, at in free.items():
        if at is not None and at < day(later):
            assert after[key] == at
