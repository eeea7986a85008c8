"""A plan's arithmetic: stages, deadlines, the daily cap and the release stop."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import plan as plans
from onym.core.plan import Part, Place, Plan, Stage, Stop

T = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = (30, 14, 3)


def day(count: float) -> datetime:
    return T + timedelta(days=count)


def plan(**changes: object) -> Plan:
    """Three stages a fortnight apart, all on one day each."""
    stages = (Stage(1, day(0)), Stage(10, day(14)), Stage(100, day(28)))
    made = Plan(id="pln_1", as_of=day(-1), notice_days=DAYS, stages=stages)
    return dataclasses.replace(made, **changes)


def test_the_place_of_a_handle_recomputes_from_a_published_hash() -> None:
    number = int(hashlib.sha256(b"pln_1\x00sunset").hexdigest()[:13], 16)
    stage = 0 if number % 10_000 < 100 else 1 if number % 10_000 < 1_000 else 2
    spread = plan(days=7)
    assert plans.place(spread, "sunset") == Place(stage, number // 10_000 % 7)


def test_stages_hold_about_their_share_of_all_handles() -> None:
    drawn = Counter(plans.place(plan(), f"name{i}").stage for i in range(20_000))
    assert drawn[0] == pytest.approx(200, rel=0.25)
    assert drawn[1] == pytest.approx(1_800, rel=0.1)
    assert drawn[2] == pytest.approx(18_000, rel=0.02)


def test_a_handle_that_is_named_comes_first() -> None:
    late = next(n for i in range(99) if plans.place(plan(), n := f"name{i}").stage == 2)
    assert plans.place(plan(first=frozenset({late})), late).stage == 0


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
    found = plans.notice_due(plan(), Part(Place(1, 0), told), number)
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


def test_the_cap_of_a_day_moves_the_rest_to_the_next_midnight() -> None:
    parts = tuple(Part(Place(0, i), told(0), ((30, 60),)) for i in range(3))
    made = plan(parts=parts, daily=100, days=3)
    found = plans.releases(made, stops=(), now=T)
    assert [found[Place(0, i), 30] for i in range(3)] == [
        day(60),
        datetime(2026, 8, 1, tzinfo=UTC),
        datetime(2026, 8, 2, tzinfo=UTC),
    ]


def test_what_piled_up_under_a_stop_is_let_go_at_the_pace_of_the_cap() -> None:
    parts = tuple(Part(Place(0, i), told(i), ((30, 60),)) for i in range(3))
    made = plan(parts=parts, daily=120, days=3)
    stops = (Stop(day(0), day(100)),)
    found = plans.releases(made, stops=stops, now=T)
    assert found[Place(0, 0), 30] == found[Place(0, 1), 30] == day(100)
    assert found[Place(0, 2), 30] == datetime(2026, 9, 10, tzinfo=UTC)


spans = st.floats(min_value=0, max_value=400, allow_nan=False).map(lambda n: round(n, 3))


@st.composite
def stops(draw: st.DrawFn) -> tuple[Stop, ...]:
    edges = sorted(draw(st.lists(spans, max_size=5, unique=True)))
    pairs = zip(edges[::2], [*edges[1::2], None], strict=False)
    return tuple(Stop(day(a), None if b is None else day(b)) for a, b in pairs)


@st.composite
def plans_made(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 5))
    sizes = st.tuples(st.sampled_from((30, 60, 90, 180)), st.integers(1, 80))
    parts = [
        Part(
            Place(draw(st.integers(0, 2)), i),
            told(draw(spans)),
            tuple(draw(st.lists(sizes, max_size=3, unique_by=lambda pair: pair[0]))),
        )
        for i in range(count)
    ]
    return plan(parts=tuple(parts), days=count, daily=draw(st.integers(80, 200)))


@given(plans_made(), stops())
def test_nothing_is_released_early_in_a_stop_or_above_the_cap(
    made: Plan, on: tuple[Stop, ...]
) -> None:
    taken: Counter[object] = Counter()
    for (where, resting), at in plans.releases(made, stops=on, now=T).items():
        if at is None:
            assert on[-1].until is None
            continue
        sent = made.part(where).sent
        assert sent[0] is not None
        assert at >= sent[0] + timedelta(days=30 + resting)
        assert not plans.is_on(on, now=at)
        taken[at.date()] += dict(made.part(where).resting)[resting]
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
