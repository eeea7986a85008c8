"""When a holder may lose a handle: one account under one policy at one instant gives one verdict.

docs/concepts/policy.md tells the order of effects. `onym.sweep.compile` turns the same data into
one expression for a whole table; both must agree on every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from onym.core.policies import BUILT_IN, built_in, text_of
from onym.core.policies.model import (
    COMPARE,
    FACTS,
    LISTS,
    PROTECTIONS,
    SIGNALS,
    Condition,
    Effect,
    Kind,
    Op,
    Periods,
    Policy,
    Rule,
    Tier,
    Unknown,
)
from onym.core.policies.reading import Fault
from onym.core.policies.reading import read as parse

__all__ = [
    "BUILT_IN",
    "FACTS",
    "LISTS",
    "PROTECTIONS",
    "SIGNALS",
    "Change",
    "Condition",
    "Effect",
    "Fault",
    "Kind",
    "Op",
    "Outcome",
    "Periods",
    "Policy",
    "Rule",
    "Seen",
    "Tier",
    "Tiered",
    "Unknown",
    "Verdict",
    "built_in",
    "diff",
    "explain",
    "parse",
    "text_of",
    "tier",
    "verdict",
]

DAY = timedelta(days=1)

Account = Mapping[str, Any]
"""A row of the account table; a column that is missing or None is unknown."""


class Outcome(StrEnum):
    """What a verdict says; all but `keep` are findings."""

    KEEP = "keep"  # the holder keeps the handle
    WARN = "warn"  # idle now: the first notice may go out
    RECLAIM = "reclaim"  # idle for a whole notice period beyond that
    PROTECTED = "protected"  # left alone, whatever else is true
    RETIRE = "retire"  # would be reclaimed, but too much refers to it: never assigned again


MANY_REFERENCES = "many_references"
NO_GROUND = "no_ground"
SUSPENSION_NOT_FINAL = "suspension_not_final"
SUSPENSION_RECENT = "suspension_recent"
SUSPENSION_APPEALED = "suspension_appealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict and what it rests on.

    `reasons` are codes in the order of the rules. `idle_days` are whole days since the last
    activity that the policy looks at, None if none is known. `deadline_at` is the end of a notice
    period that begins now. `resting_days` follow it; `earliest_at` is the instant at which the
    handle could be released if nothing changes, also for an account that is kept by now.
    """

    verdict: Outcome
    reasons: tuple[str, ...]
    ground: Effect | None = None
    last_activity_at: datetime | None = None
    idle_days: int | None = None
    deadline_at: datetime | None = None
    resting_days: int | None = None
    earliest_at: datetime | None = None


class _Found(NamedTuple):
    """What the rules say: `due_at` is when the ground's clock runs out, None without a clock."""

    outcome: Outcome
    reasons: tuple[str, ...]
    ground: Effect | None
    due_at: datetime | None = None


def verdict(policy: Policy, account: Account, as_of: datetime) -> Verdict:
    """The verdict on `account` at `as_of` (aware, as the account's instants are)."""
    found = (
        _protected(policy, account, as_of)
        or _suspended(policy, account, as_of)
        or _squatting(policy, account, as_of)
        or _idle(policy, account, as_of)
    )
    return _dated(policy, account, as_of, found)


def _dated(policy: Policy, account: Account, as_of: datetime, found: _Found) -> Verdict:
    """`found` with its days and dates; a reclaimed handle with many references is retired."""
    outcome, reasons = found.outcome, found.reasons
    resting = policy.periods.resting(account.get("inbound_refs"))
    if outcome is Outcome.RECLAIM and resting is None:
        outcome, reasons = Outcome.RETIRE, (*reasons, MANY_REFERENCES)
    last = _last_activity(policy, account)
    running = outcome in (Outcome.WARN, Outcome.RECLAIM, Outcome.RETIRE)
    begins = as_of if running else found.due_at
    deadline = _later(begins, policy.periods.notice_period_days)
    return Verdict(
        verdict=outcome,
        reasons=reasons,
        ground=found.ground,
        last_activity_at=last,
        idle_days=None if last is None else max((as_of - last) // DAY, 0),
        deadline_at=deadline if running else None,
        resting_days=resting if running else None,
        earliest_at=None if resting is None else _later(deadline, resting),
    )


def _later(instant: datetime | None, days: int) -> datetime | None:
    try:
        return None if instant is None else instant + days * DAY
    except OverflowError:  # beyond the year 9999: for a person that is never
        return None


def _last_activity(policy: Policy, account: Account) -> datetime | None:
    known = [account.get(rule.when.signal) for rule in _clocks(policy)]
    return max((instant for instant in known if instant is not None), default=None)


def _clocks(policy: Policy) -> Sequence[Rule]:
    return [rule for rule in policy.rules_to(Effect.IDLE) if rule.when.op is Op.OLDER_THAN]


# The four effects, in order; each answers None when it does not decide.


def _protected(policy: Policy, account: Account, as_of: datetime) -> _Found | None:
    rules = policy.rules_to(Effect.PROTECT)
    met = {rule.code: meets(rule.when, account, as_of) for rule in rules}
    for rule in rules:
        if met[rule.code]:
            return _Found(Outcome.PROTECTED, (rule.code,), Effect.PROTECT)
    unknown = [f"unknown_{rule.when.signal}" for rule in rules if met[rule.code] is None]
    reasons = tuple(dict.fromkeys(code for code in unknown if not _assumed(policy, code)))
    return _Found(Outcome.PROTECTED, reasons, Effect.PROTECT) if reasons else None


def _assumed(policy: Policy, code: str) -> bool:
    return code.removeprefix("unknown_") in policy.assume_absent


def _suspended(policy: Policy, account: Account, as_of: datetime) -> _Found | None:
    for rule in policy.rules_to(Effect.SUSPEND):
        if meets(rule.when, account, as_of):
            return _suspension(policy, rule, account, as_of)
    return None


def _suspension(policy: Policy, rule: Rule, account: Account, as_of: datetime) -> _Found:
    appeal, final = account.get("appeal_open"), account.get("suspension_final_at")
    if appeal is None and "appeal_open" not in policy.assume_absent:
        return _Found(Outcome.KEEP, ("unknown_appeal_open",), Effect.SUSPEND)
    if appeal:
        return _Found(Outcome.KEEP, (SUSPENSION_APPEALED,), Effect.SUSPEND)
    if final is None:
        return _Found(Outcome.KEEP, (SUSPENSION_NOT_FINAL,), Effect.SUSPEND)
    since = as_of - final
    due_at = _later(final, policy.periods.suspended_days)
    if since < policy.periods.suspended_days * DAY:
        return _Found(Outcome.KEEP, (SUSPENSION_RECENT,), Effect.SUSPEND, due_at)
    whole = policy.periods.suspended_days + policy.periods.notice_period_days
    outcome = Outcome.RECLAIM if since >= whole * DAY else Outcome.WARN
    return _Found(outcome, (rule.code,), Effect.SUSPEND, due_at)


def _squatting(policy: Policy, account: Account, as_of: datetime) -> _Found | None:
    rules = policy.rules_to(Effect.SQUAT)
    reasons = tuple(rule.code for rule in rules if meets(rule.when, account, as_of))
    return _Found(Outcome.RECLAIM, reasons, Effect.SQUAT) if reasons else None


def _idle(policy: Policy, account: Account, as_of: datetime) -> _Found:
    rules = policy.rules_to(Effect.IDLE)
    met = [(rule, meets(rule.when, account, as_of)) for rule in rules]
    if against := [code for rule, holds in met if (code := _not_idle(rule, holds))]:
        clocks_only = all(holds or rule.when.op is Op.OLDER_THAN for rule, holds in met)
        due_at = _due_at(met, account) if clocks_only else None
        return _Found(Outcome.KEEP, tuple(against), Effect.IDLE, due_at)
    clocks = [rule for rule, holds in met if holds and rule.when.op is Op.OLDER_THAN]
    if not clocks:
        return _Found(Outcome.KEEP, (NO_GROUND,), None)
    notice = policy.periods.notice_period_days
    whole = all(_age(rule, account, as_of) >= _days(rule, notice) for rule in clocks)
    reasons = tuple(rule.code for rule, holds in met if holds)
    outcome = Outcome.RECLAIM if whole else Outcome.WARN
    return _Found(outcome, reasons, Effect.IDLE, _due_at(met, account))


def _not_idle(rule: Rule, holds: bool | None) -> str | None:
    if holds is None:
        return f"unknown_{rule.when.signal}" if rule.unknown is Unknown.KEEP else None
    return None if holds else f"not_{rule.code}"


def _age(rule: Rule, account: Account, as_of: datetime) -> timedelta:
    age: timedelta = as_of - account[rule.when.signal]
    return age


def _days(rule: Rule, more: int = 0) -> timedelta:
    assert isinstance(rule.when.value, int)  # noqa: S101 - so the reader saw to it
    return (rule.when.value + more) * DAY


def _due_at(met: Iterable[tuple[Rule, bool | None]], account: Account) -> datetime | None:
    """When every clock has run out; None if one that is needed is unknown."""
    clocks = [rule for rule, _ in met if rule.when.op is Op.OLDER_THAN]
    known = [rule for rule in clocks if account.get(rule.when.signal) is not None]
    if any(rule.unknown is Unknown.KEEP for rule in clocks if rule not in known):
        return None
    ends = [_later(account[rule.when.signal], _days(rule).days) for rule in known]
    return None if None in ends else max((end for end in ends if end), default=None)


def meets(condition: Condition, account: Account, as_of: datetime) -> bool | None:
    """Whether `account` meets `condition`; None if its signal is unknown."""
    seen: Any = account.get(condition.signal)
    value: Any = condition.value
    if seen is None:
        return False if condition.signal in LISTS else None
    if condition.op is Op.OLDER_THAN:
        seen, value = as_of - seen, value * DAY
    return COMPARE[condition.op](seen, value)


# What a person asks about


class Seen(NamedTuple):
    """One rule beside one account: `holds` is None where the signal is unknown."""

    rule: Rule
    signal: Any
    holds: bool | None
    decided: bool


def explain(policy: Policy, account: Account, as_of: datetime) -> tuple[Verdict, list[Seen]]:
    """The verdict, and each rule with what it saw and whether it stands among the reasons."""
    given = verdict(policy, account, as_of)
    seen = []
    for rule in policy.rules:
        codes = {rule.code, f"not_{rule.code}", f"unknown_{rule.when.signal}"}
        decided = rule.effect is given.ground and bool(codes & set(given.reasons))
        holds = meets(rule.when, account, as_of)
        seen.append(Seen(rule, account.get(rule.when.signal), holds, decided))
    return given, seen


class Change(NamedTuple):
    """An account whose verdict or reasons differ between two policies."""

    account: Account
    old: Verdict
    new: Verdict


def diff(
    old: Policy, new: Policy, accounts: Iterable[Account], as_of: datetime
) -> Iterator[Change]:
    """Who changes verdict when `new` replaces `old`, in the order of `accounts`."""
    for account in accounts:
        before, after = verdict(old, account, as_of), verdict(new, account, as_of)
        if (before.verdict, before.reasons) != (after.verdict, after.reasons):
            yield Change(account, before, after)


class Tiered(NamedTuple):
    """A tier and why, in one phrase."""

    name: str
    reason: str


_COUNTS = "zero,one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve".split(",")  # noqa: SIM905


def tier(policy: Policy, facts: Mapping[str, Any]) -> Tiered:
    """The first tier of `policy` whose conditions all hold for `facts` (core/policies/model.FACTS).

    A fact that is missing or None meets no condition; with no tier left a handle is standard.
    """
    for each in policy.tiers:
        if all(_has(facts, condition) for condition in each.all):
            counts = {name: in_words(facts.get(name)) for name in ("length", "words")}
            return Tiered(each.name, each.reason.format(**counts))
    return Tiered("standard", "no mark of a rarer tier")


def _has(facts: Mapping[str, Any], condition: Condition) -> bool:
    fact = facts.get(condition.signal)
    return fact is not None and COMPARE[condition.op](fact, condition.value)


def in_words(count: int | None) -> str:
    """A small count as people write it: six, but 13."""
    if count is None:
        return "some"
    return _COUNTS[count] if 0 <= count < len(_COUNTS) else str(count)
