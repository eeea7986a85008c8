"""The way of a finding: held, warned, resting, released or retired; and every way back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import reclaim
from onym.core.errors import AlreadyClosed, HandleLocked, NotAllowed, Refusal
from onym.core.handle import Handle, State
from onym.core.plan import Part, Plan, Sent, Stop
from onym.core.policy import Outcome
from onym.core.reclaim import Ending, Finding, Look, Process

T = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def day(count: float) -> datetime:
    return T + timedelta(days=count)


def told(at: float = 0) -> Sent:
    return (day(at), day(at + 16), day(at + 27))


def plan(*, sent: Sent | None = None) -> Plan:
    """One stage; its notices went out on days 0, 16 and 27."""
    part = Part(0, 100, day(0), told() if sent is None else sent, ((30, 5), (180, 5)))
    return Plan(id="pln_1", as_of=day(-1), notice_days=(30, 14, 3), idle_days=30, parts=(part,))


def finding(**changes: object) -> Finding:
    made = Finding("sunset", 0, "1008", Outcome.RECLAIM, ("idle_login",), 30)
    return dataclasses.replace(made, **changes)


def row(**changes: object) -> Handle:
    made = Handle(namespace="demo", handle="sunset", state=State.HELD, account_id="1008")
    return dataclasses.replace(made, **changes)


def process(**changes: object) -> Process:
    made = Process(plan="pln_1", account_id="1008", resting_days=30)
    return dataclasses.replace(made, **changes)


NO_STOP: tuple[Stop, ...] = ()
STOPPED = (Stop(day(-9)),)
LIFTED = (Stop(day(-9), day(100)),)
NONE: Sent = (None, None, None)


@pytest.mark.parametrize(
    ("now", "sent", "stops", "stands"),
    [
        (-1, NONE, NO_STOP, State.HELD),
        (500, NONE, NO_STOP, State.HELD),  # nobody was told, nothing happens
        (-0.001, None, NO_STOP, State.HELD),
        (0, None, NO_STOP, State.WARNED),
        (29.999, None, NO_STOP, State.WARNED),
        (30, None, NO_STOP, State.RESTING),
        (59.999, None, NO_STOP, State.RESTING),
        (60, None, NO_STOP, State.RELEASED),
        (0, None, STOPPED, State.WARNED),  # warnings and resting go on under the stop
        (30, None, STOPPED, State.RESTING),
        (999, None, STOPPED, State.RESTING),
        (99.999, None, LIFTED, State.RESTING),
        (100, None, LIFTED, State.RELEASED),  # what fell due takes effect when it is lifted
        (31, (day(0), None, None), NO_STOP, State.WARNED),  # a missing notice keeps the holder safe
        (999, (day(0), day(16), None), NO_STOP, State.WARNED),
        (33, (day(0), day(16), day(31)), NO_STOP, State.WARNED),
        (34, (day(0), day(16), day(31)), NO_STOP, State.RESTING),
    ],
)
def test_an_untouched_finding_follows_plan_and_time(
    now: float, sent: Sent | None, stops: tuple[Stop, ...], stands: State
) -> None:
    found = reclaim.state(finding(), plan=plan(sent=sent), stops=stops, now=day(now))
    assert found.state is stands


@pytest.mark.parametrize(
    ("verdict", "resting", "now", "stands"),
    [
        (Outcome.WARN, 30, 61, State.RELEASED),  # idle for the notice period by its deadline
        (Outcome.RECLAIM, 180, 209.999, State.RESTING),
        (Outcome.RECLAIM, 180, 210, State.RELEASED),
        (Outcome.PROTECTED, None, 999, State.HELD),
        (Outcome.RETIRE, None, 29, State.WARNED),  # its holder is asked, too
        (Outcome.RETIRE, None, 30, State.RETIRED),
        (Outcome.RETIRE, None, 999, State.RETIRED),
    ],
)
def test_the_verdict_decides_where_it_leads(
    verdict: Outcome, resting: int | None, now: float, stands: State
) -> None:
    found = finding(verdict=verdict, resting_days=resting)
    assert reclaim.state(found, plan=plan(), stops=NO_STOP, now=day(now)).state is stands


def test_dates_are_told_with_the_state() -> None:
    found = reclaim.state(finding(), plan=plan(), stops=NO_STOP, now=day(1))
    assert found == reclaim.Standing(State.WARNED, day(0), day(30), day(60), day(60))


def test_a_date_is_told_before_anything_is_sent() -> None:
    found = reclaim.state(finding(), plan=plan(sent=NONE), stops=NO_STOP, now=day(-3))
    assert found == reclaim.Standing(State.HELD, release_at=day(60))


spans = st.floats(min_value=-5, max_value=500, allow_nan=False).map(lambda n: round(n, 4))


@st.composite
def sendings(draw: st.DrawFn) -> Sent:
    at = sorted(draw(st.lists(spans, min_size=3, max_size=3)))
    count = draw(st.integers(0, 3))
    return tuple(day(n) if i < count else None for i, n in enumerate(at))


@st.composite
def stops(draw: st.DrawFn) -> tuple[Stop, ...]:
    edges = sorted(draw(st.lists(spans, max_size=5, unique=True)))
    pairs = zip(edges[::2], [*edges[1::2], None], strict=False)
    return tuple(Stop(day(a), None if b is None else day(b)) for a, b in pairs)


findings = st.builds(
    finding,
    verdict=st.sampled_from([Outcome.WARN, Outcome.RECLAIM, Outcome.RETIRE, Outcome.PROTECTED]),
    resting_days=st.sampled_from([30, 60, 90, 180, None]),
)


@given(findings, sendings(), stops(), spans)
def test_nothing_is_released_before_its_notices_its_period_and_its_rest(
    found: Finding, sent: Sent, on: tuple[Stop, ...], now: float
) -> None:
    stands = reclaim.state(found, plan=plan(sent=sent), stops=on, now=day(now)).state
    if stands in (State.RESTING, State.RELEASED, State.RETIRED):
        assert None not in sent
        assert sent[0] is not None
        assert day(now) >= sent[0] + timedelta(days=30)
    if stands is State.RELEASED:
        assert sent[0] is not None
        assert found.resting_days is not None
        assert day(now) >= sent[0] + timedelta(days=30 + found.resting_days)


@given(findings, sendings(), stops(), spans)
def test_nothing_becomes_released_while_the_stop_is_on(
    found: Finding, sent: Sent, on: tuple[Stop, ...], now: float
) -> None:
    made = plan(sent=sent)
    at = day(now)
    if reclaim.state(found, plan=made, stops=on, now=at).state is not State.RELEASED:
        return
    running = [stop for stop in on if stop.since <= at and (not stop.until or at < stop.until)]
    for stop in running:
        before = reclaim.state(found, plan=made, stops=on, now=stop.since - SECOND)
        assert before.release_at is not None
        assert before.release_at < stop.since


@given(findings, sendings(), stops(), spans, spans)
def test_time_only_leads_onwards(
    found: Finding, sent: Sent, on: tuple[Stop, ...], one: float, other: float
) -> None:
    order = [State.HELD, State.WARNED, State.RESTING, State.RELEASED, State.RETIRED]
    early, late = (
        order.index(reclaim.state(found, plan=plan(sent=sent), stops=on, now=day(at)).state)
        for at in sorted((one, other))
    )
    assert early <= late


# Processes


@pytest.mark.parametrize(
    ("changes", "of_row", "decides"),
    [
        ({}, {}, True),
        ({"written": State.WARNED}, {"state": State.WARNED}, True),
        ({"written": State.WARNED}, {"state": State.HELD}, False),  # somebody else decided
        ({}, {"account_id": "9"}, False),
        ({"ended_at": T, "ending": Ending.KEPT}, {}, False),
        ({}, {"retained_for": "1008"}, False),
    ],
)
def test_a_row_wins_over_its_process(
    changes: dict[str, object], of_row: dict[str, object], decides: bool
) -> None:
    assert reclaim.is_open(process(**changes), row(**of_row)) is decides


@pytest.mark.parametrize(
    ("of_row", "last_ended", "decides"),
    [
        ({}, None, True),
        ({}, day(-32), True),  # kept before this sweep looked, and idle again by then
        ({}, day(-31), False),
        ({}, day(0), False),
        ({"state": State.RELEASED}, None, False),
        ({"state": State.PROTECTED}, None, False),
        ({"account_id": "9"}, None, False),
        ({"account_id": None}, None, False),
        ({"locked_by": "sal_1"}, None, False),
        ({"appeal_open": True}, None, False),
        ({"dispute_open": True}, None, False),
        ({"retained_for": "7"}, None, False),
    ],
)
def test_a_plan_decides_only_about_rows_that_nothing_happened_to(
    of_row: dict[str, object], last_ended: datetime | None, decides: bool
) -> None:
    found = reclaim.is_subject(
        row(**of_row), finding=finding(), plan=plan(), last_ended_at=last_ended
    )
    assert found is decides


def standing(
    changes: dict[str, object], *, now: float, appeal: bool = False,
    stops: tuple[Stop, ...] = NO_STOP, sent: Sent | None = None,
) -> State:  # fmt: skip
    return reclaim.standing(
        process(**changes),
        finding=finding(),
        plan=plan(sent=sent),
        stops=stops,
        appeal_open=appeal,
        now=day(now),
    ).state


LISTED = {"listed_at": day(0)}


@pytest.mark.parametrize(
    ("changes", "now", "appeal", "stands"),
    [
        ({}, 1, False, State.WARNED),
        ({}, 61, False, State.RESTING),  # no fresh look, no release
        ({"looked_at": day(59.999)}, 61, False, State.RESTING),  # it was not due then
        ({"looked_at": day(60)}, 61, False, State.RELEASED),
        ({"looked_at": day(60)}, 61, True, State.RESTING),  # open appeal: no release
        ({"sent": NONE}, 99, False, State.HELD),  # this one was not reached
        ({"sent": told(5), "looked_at": day(65)}, 34.9, False, State.WARNED),
        ({"sent": told(5), "looked_at": day(65)}, 35, False, State.RESTING),
        ({"sent": told(5), "looked_at": day(65)}, 65, False, State.RELEASED),
        (LISTED, 29, False, State.WARNED),
        (LISTED, 999, False, State.WARNED),  # nobody confirmed it
        ({**LISTED, "confirmed": True}, 29, False, State.WARNED),
        ({**LISTED, "confirmed": True}, 30, False, State.RESTING),
        ({**LISTED, "confirmed": True, "looked_at": day(61)}, 61, False, State.RELEASED),
        ({**LISTED, "looked_at": day(61)}, 99, False, State.WARNED),
    ],
)
def test_a_process_goes_as_what_happened_to_it_says(
    changes: dict[str, object], now: float, appeal: bool, stands: State
) -> None:
    assert standing(changes, now=now, appeal=appeal) is stands


def test_a_look_before_the_stop_was_lifted_is_stale() -> None:
    assert standing({"looked_at": day(99)}, now=101, stops=LIFTED) is State.RESTING
    assert standing({"looked_at": day(100)}, now=101, stops=LIFTED) is State.RELEASED


@given(sendings(), stops(), spans)
def test_a_process_of_its_own_is_never_ahead_of_its_notices(
    sent: Sent, on: tuple[Stop, ...], now: float
) -> None:
    found = standing({"sent": sent, "looked_at": day(now)}, now=now, stops=on)
    if found is State.RELEASED:
        assert sent[0] is not None
        assert day(now) >= sent[0] + timedelta(days=60)
        assert None not in sent


@pytest.mark.parametrize(
    ("at", "ending"),
    [
        (day(30) - SECOND, Ending.KEPT),
        (day(30), Ending.RETURNED),
        (day(30) + SECOND, Ending.RETURNED),
        (day(400), Ending.RETURNED),
    ],
)
def test_the_holder_wins_before_and_after_the_deadline(at: datetime, ending: Ending) -> None:
    kept, ended = reclaim.keep(
        row(state=State.RELEASED), process(), by="1008", deadline_at=day(30), waking_days=90, now=at
    )
    assert kept.state is State.HELD
    assert kept.may_not_sell_until == at + timedelta(days=90)
    assert (ended.ending, ended.ended_at, ended.written) == (ending, at, State.HELD)


@pytest.mark.parametrize(
    ("of_row", "by", "refusal"),
    [
        ({"locked_by": "sal_1", "state": State.RELEASED}, "1008", HandleLocked),
        ({"account_id": "1004"}, "1008", AlreadyClosed),
        ({}, "1004", AlreadyClosed),
    ],
)
def test_a_holder_who_comes_too_late_is_told_so(
    of_row: dict[str, object], by: str, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        reclaim.keep(
            row(**of_row), process(), by=by, deadline_at=day(30), waking_days=90, now=day(40)
        )


def test_keeping_twice_is_keeping_once() -> None:
    once = reclaim.keep(row(), process(), by="1008", deadline_at=None, waking_days=90, now=day(1))
    twice = reclaim.keep(*once, by="1008", deadline_at=None, waking_days=90, now=day(2))
    assert twice == once


@pytest.mark.parametrize(
    ("holder", "verdict", "seen", "known", "says"),
    [
        ("1008", Outcome.RECLAIM, day(-200), day(-200), Look.SILENT),
        ("1008", Outcome.RECLAIM, day(-199), day(-200), Look.SEEN),
        ("1008", Outcome.RECLAIM, day(-199), None, Look.SEEN),
        ("1008", Outcome.KEEP, day(-199), day(-200), Look.SEEN),
        ("1008", Outcome.RECLAIM, None, None, Look.SILENT),
        ("1008", Outcome.RECLAIM, None, day(-200), Look.NO_ANSWER),
        ("1008", Outcome.PROTECTED, day(-200), day(-200), Look.PROTECTED),
        ("1009", Outcome.RECLAIM, day(-200), day(-200), Look.GONE),
        (None, Outcome.RECLAIM, day(-200), day(-200), Look.GONE),
    ],
)
def test_a_last_look_rests_on_what_is_fresh(
    holder: str | None,
    verdict: Outcome,
    seen: datetime | None,
    known: datetime | None,
    says: Look,
) -> None:
    found = reclaim.look(
        account_id="1008", holder=holder, verdict=verdict, last_seen=seen, known_last_seen=known
    )
    assert found is says


def test_a_notice_counts_from_when_it_first_arrived() -> None:
    one = reclaim.told(process(sent=NONE), number=1, at=day(2), notices=3)
    again = reclaim.told(one, number=1, at=day(5), notices=3)
    assert again.sent == (day(2), None, None)


def test_only_what_stands_on_the_public_list_is_confirmed_and_once() -> None:
    with pytest.raises(NotAllowed):
        reclaim.confirm(process())
    confirmed = reclaim.confirm(process(listed_at=T))
    assert confirmed.confirmed
    with pytest.raises(AlreadyClosed):
        reclaim.confirm(confirmed)


@pytest.mark.parametrize(
    ("followers", "two"), [(None, False), (9_999, False), (10_000, True), (88_000, True)]
)
def test_a_much_followed_account_needs_two_people(followers: int | None, two: bool) -> None:
    assert reclaim.needs_two(most_followers=followers, threshold=10_000) is two


def test_findings_fall_into_resting_classes() -> None:
    found = [finding(handle=f"n{i}", resting_days=30 + 30 * (i % 2)) for i in range(5)]
    found.append(finding(handle="big", verdict=Outcome.RETIRE, resting_days=None))
    found.append(finding(handle="safe", verdict=Outcome.PROTECTED))
    assert reclaim.resting_classes(found) == (((30, 3), (60, 2)), 1)


def test_a_bucket_without_a_part_is_held() -> None:
    found = reclaim.state(finding(bucket=100), plan=plan(), stops=NO_STOP, now=day(500))
    assert found == reclaim.HELD


NEW, OLD, OLDEST = (dataclasses.replace(plan(), id=name) for name in ("new", "old", "oldest"))
IDLE, SAFE, OTHER = finding(), finding(verdict=Outcome.PROTECTED), finding(account_id="9")


@pytest.mark.parametrize(
    ("found", "decides"),
    [
        ([], None),
        ([(NEW, None)], None),
        ([(NEW, IDLE)], NEW),
        ([(NEW, IDLE), (OLD, IDLE)], OLD),  # nobody is warned anew
        ([(NEW, IDLE), (OLD, IDLE), (OLDEST, IDLE)], OLDEST),
        ([(NEW, IDLE), (OLD, None), (OLDEST, IDLE)], NEW),  # it was active in between
        ([(NEW, None), (OLD, IDLE)], None),  # it is active now
        ([(NEW, SAFE), (OLD, IDLE)], None),
        ([(NEW, IDLE), (OLD, OTHER)], NEW),  # another account held it then
    ],
)
def test_the_oldest_unbroken_sweep_decides(
    found: list[tuple[Plan, Finding | None]], decides: Plan | None
) -> None:
    governs = reclaim.governing(found)
    assert (governs[0] if governs else None) == decides
