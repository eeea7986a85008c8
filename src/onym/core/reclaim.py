"""Reclaim: a handle whose holder went silent is warned about, rests and is released, or is kept.

The state of an untouched finding follows from plan and time alone; a touched one has a `Process`,
which wins. See docs/concepts/reclaim.md.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from onym.core import plan as plans
from onym.core.errors import AlreadyClosed, HandleLocked, NotAllowed
from onym.core.handle import Handle, State
from onym.core.plan import DAY, Part, Plan, Sent, Stop
from onym.core.policy import Outcome

SIGNS = ("last_login_at", "last_post_at", "last_api_at", "last_payment_at")
"""The account table's signs of life."""

TAKEN = frozenset({Outcome.WARN, Outcome.RECLAIM, Outcome.RETIRE})
"""Findings whose holders are asked; a protected one is left alone and never sold."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One account that a sweep did not leave alone; `resting_days` None: retired, never sold.

    `bucket` is the handle's place in the stock, which decides the part of the plan it is in.
    """

    handle: str
    bucket: int
    account_id: str
    verdict: Outcome
    reasons: tuple[str, ...]
    resting_days: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and the dates that lead to it and on from it; a date that is unknown is None."""

    state: State
    warned_at: datetime | None = None
    deadline_at: datetime | None = None
    resting_until: datetime | None = None
    release_at: datetime | None = None


HELD = Standing(State.HELD)


def state(finding: Finding, *, plan: Plan, stops: tuple[Stop, ...], now: datetime) -> Standing:
    """Where an untouched finding stands at `now`: held, warned, resting, released or retired.

    It is released when its notices were sent, the deadline and the resting have passed, its turn
    under the daily cap has come, and the release stop is off, whenever a job noticed any of it.
    """
    part = plan.part(finding.bucket)
    if finding.verdict not in TAKEN or part is None:
        return HELD
    return state_of_part(part, resting_days=finding.resting_days, plan=plan, stops=stops, now=now)


def state_of_part(
    part: Part,
    *,
    resting_days: int | None,
    plan: Plan,
    stops: tuple[Stop, ...],
    now: datetime,
) -> Standing:
    """Where all untouched findings of a part that rest so long stand (None: they are retired)."""
    release_at = None
    if resting_days is not None:
        release_at = plans.release_at(plan, part, resting_days, stops=stops, now=now)
    return _standing(
        sent=part.sent,
        notice_days=plan.notice_days,
        resting_days=resting_days,
        release_at=release_at,
        now=now,
    )


def _standing(
    *,
    sent: Sent,
    notice_days: tuple[int, ...],
    resting_days: int | None,
    release_at: datetime | None,
    now: datetime,
) -> Standing:
    end = plans.deadline(sent, notice_days=notice_days, now=now)
    if end is None or now < (sent[0] or end):
        return Standing(State.HELD, release_at=release_at)
    until = end + resting_days * DAY if resting_days is not None else None
    dated = Standing(State.WARNED, sent[0], end, until, release_at)
    if now < end:  # it stays ahead of the clock until every notice was sent
        return dated
    if until is None:
        return dataclasses.replace(dated, state=State.RETIRED)
    is_released = now >= until and release_at is not None and now >= release_at
    return dataclasses.replace(dated, state=State.RELEASED if is_released else State.RESTING)


class Ending(StrEnum):
    """How a process ended without a sale."""

    KEPT = "kept"  # the holder said so before the deadline
    WOKE = "woke"  # the account was seen before the deadline
    RETURNED = "returned"  # the holder came back later, and still before money was in escrow
    PROTECTED = "protected"  # a fresh look found a reason to leave the account alone
    UPHELD = "upheld"  # an appeal was right
    GONE = "gone"  # the account no longer holds the handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A touched handle on its way. `sent` None: what was sent to its part was sent to it.

    `listed_at` is the instant at which its notice was put on the public list, for an account
    without any channel; `confirmed` by a reviewer lets it go on. `looked_at` is the last look.
    `written` is the state that this process last gave the handle's row: once the row says
    otherwise, somebody else decided and the process is over.
    """

    plan: str
    account_id: str
    resting_days: int | None
    written: State = State.HELD
    sent: Sent | None = None
    listed_at: datetime | None = None
    confirmed: bool = False
    looked_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None


def is_open(process: Process, row: Handle) -> bool:
    """Whether the process still decides about the row; whatever else happened to it wins."""
    return (
        process.ended_at is None
        and process.account_id == row.account_id
        and process.written is row.state
        and row.retained_for is None
    )


def is_subject(
    row: Handle, *, finding: Finding, plan: Plan, last_ended_at: datetime | None
) -> bool:
    """Whether a plan decides about a row that no open process decides about.

    Only while nothing happened to it: the account of the finding holds it, it is not locked or
    retained, and no keep, return or change of hands is too young for the sweep.
    """
    return (
        row.state is State.HELD
        and row.account_id == finding.account_id
        and row.locked_by is None
        and row.retained_for is None
        and not (row.dispute_open or row.appeal_open)
        and is_younger(plan, last_ended_at)
    )


def is_younger(plan: Plan, last_ended_at: datetime | None) -> bool:
    """Whether so much silence lies between an act of the holder and the sweep that both count."""
    return last_ended_at is None or last_ended_at + plan.idle_days * DAY < plan.as_of


def standing(
    process: Process,
    *,
    finding: Finding,
    plan: Plan,
    stops: tuple[Stop, ...],
    appeal_open: bool,
    now: datetime,
) -> Standing:
    """Where an open process stands: as the plan says, but for what happened to this one.

    It is never released before a last look taken when it fell due or later, while an appeal is
    open, or, told only by the public list, before a reviewer has confirmed it.
    """
    if process.sent is None and process.listed_at is None:
        due = state(finding, plan=plan, stops=stops, now=now)
    else:
        due = _of_its_own(process, plan=plan, stops=stops, now=now)
    looked, at = process.looked_at, due.release_at
    is_fresh = looked is not None and at is not None and looked >= at
    if due.state is State.RELEASED and (appeal_open or not is_fresh):
        return dataclasses.replace(due, state=State.RESTING)
    return due


def _of_its_own(
    process: Process, *, plan: Plan, stops: tuple[Stop, ...], now: datetime
) -> Standing:
    if process.listed_at is not None and not process.confirmed:
        listed: Sent = (process.listed_at,) + (None,) * (len(plan.notice_days) - 1)
        end = process.listed_at + plan.notice_days[0] * DAY
        return Standing(State.WARNED, listed[0], max(end, now))
    sent = process.sent or (process.listed_at,) * len(plan.notice_days)
    end_at = plans.deadline(sent, notice_days=plan.notice_days, now=now)
    days = process.resting_days
    until = end_at + days * DAY if end_at is not None and days is not None else None
    return _standing(
        sent=sent,
        notice_days=plan.notice_days,
        resting_days=days,
        release_at=plans.blocked(until, stops=stops) if until else None,
        now=now,
    )


def keep(
    row: Handle, process: Process, *, by: str, deadline_at: datetime | None, waking_days: int,
    now: datetime,
) -> tuple[Handle, Process]:  # fmt: skip
    """The holder keeps: in time by right, later until money is in escrow (H9).

    An account that wakes while it is warned may keep, but not sell for `waking_days`. Refuses
    `already_closed` when another account holds the handle, `handle_locked` once money is in
    escrow. A process that ended with the handle kept is left as it is.
    """
    _expect_holder(row, by)
    if process.ended_at is not None:
        return row, process
    in_time = deadline_at is None or now < deadline_at
    return end(
        row, process, ending=Ending.KEPT if in_time else Ending.RETURNED,
        waking_days=waking_days, now=now,
    )  # fmt: skip


def end(
    row: Handle, process: Process, *, ending: Ending, waking_days: int, now: datetime
) -> tuple[Handle, Process]:
    """The handle goes back to its holder. Refuses `handle_locked` once money is in escrow."""
    if row.locked_by is not None:
        raise HandleLocked("the money for this handle is in escrow", why="sale")
    until = row.may_not_sell_until
    if ending in (Ending.KEPT, Ending.WOKE, Ending.RETURNED):
        until = now + timedelta(days=waking_days)
    held = dataclasses.replace(row, state=State.HELD, may_not_sell_until=until)
    return held, dataclasses.replace(process, written=State.HELD, ended_at=now, ending=ending)


def _expect_holder(row: Handle, account_id: str) -> None:
    if row.account_id != account_id:
        raise AlreadyClosed("another account holds this handle now")


def last_sign(account: Mapping[str, Any]) -> datetime | None:
    """The newest sign of life that a row of the account table knows."""
    return max((account[sign] for sign in SIGNS if account.get(sign)), default=None)


class Look(StrEnum):
    """What a fresh look at the platform says about the holder of a handle."""

    SILENT = "silent"
    SEEN = "seen"  # a sign of activity that the sweep did not know
    PROTECTED = "protected"  # a verdict made now leaves the account alone
    GONE = "gone"  # the platform says that somebody else holds the handle
    NO_ANSWER = "no_answer"  # it tells less than the sweep knew: nothing may rest on it


def look(
    *,
    account_id: str,
    holder: str | None,
    verdict: Outcome,
    last_seen: datetime | None,
    known_last_seen: datetime | None,
) -> Look:
    """Judge fresh answers: who holds the handle, the account's last sign of life, its verdict."""
    if holder != account_id:
        return Look.GONE
    if last_seen is None and known_last_seen is not None:
        return Look.NO_ANSWER
    if last_seen is not None and (known_last_seen is None or last_seen > known_last_seen):
        return Look.SEEN
    return Look.PROTECTED if verdict is Outcome.PROTECTED else Look.SILENT


def told(process: Process, *, number: int, at: datetime, notices: int) -> Process:
    """Notice `number` reached this account by itself, outside its part's wave."""
    sent = list(process.sent or (None,) * notices)
    if sent[number - 1] is None:
        sent[number - 1] = at
    return dataclasses.replace(process, sent=tuple(sent))


def confirm(process: Process) -> Process:
    """A reviewer confirms a handle whose notice only stands on the public list."""
    if process.listed_at is None:
        raise NotAllowed("this holder was told by a channel of their own")
    if process.confirmed:
        raise AlreadyClosed("this was already confirmed")
    return dataclasses.replace(process, confirmed=True)


def needs_two(*, most_followers: int | None, threshold: int) -> bool:
    """Whether a plan needs a second person: it takes a handle from a much-followed account."""
    return most_followers is not None and most_followers >= threshold


def resting_classes(findings: Iterable[Finding]) -> tuple[tuple[tuple[int, int], ...], int]:
    """How many of these findings rest how long, as (days, findings), and how many retire."""
    taken = [finding for finding in findings if finding.verdict in TAKEN]
    counts = Counter(f.resting_days for f in taken if f.resting_days is not None)
    return tuple(sorted(counts.items())), sum(f.resting_days is None for f in taken)


def governing(found: Iterable[tuple[Plan, Finding | None]]) -> tuple[Plan, Finding] | None:
    """The plan that decides about an untouched handle, of those in use, the newest first.

    A handle that the newest sweep leaves alone is held. One that it finds again goes on under the
    oldest of the sweeps that found it without a break: nobody is warned anew by a second sweep.
    """
    decides: tuple[Plan, Finding] | None = None
    for plan, finding in found:
        if finding is None or finding.verdict not in TAKEN:
            break
        if decides is not None and decides[1].account_id != finding.account_id:
            break
        decides = plan, finding
    return decides
