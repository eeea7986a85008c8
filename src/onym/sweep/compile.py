"""A policy turned into one table expression that assesses every account of a table at once.

It says what core/policy.py says, rule by rule (docs/concepts/policy.md); the engine that runs it
is chosen later. Columns that decide come first, so that features are computed for findings only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TypeAlias

import ibis  # type: ignore[import-untyped]  # it ships no types
import ibis.expr.types as ir  # type: ignore[import-untyped]  # it ships no types

from onym.core import policy as rules
from onym.core.policy import (
    LISTS,
    Condition,
    Effect,
    Kind,
    Op,
    Outcome,
    Policy,
    Rule,
    Tier,
    Unknown,
)

ACCOUNTS, LISTED, WORDS = "accounts", "listed", "words"
"""The names under which an engine offers the tables."""

WORD_FACTS = ("dictionary_word", "first_name", "last_name", "brand", "culture")
"""The flags of the table of words, beside `word`; null is false."""


_TYPES = {Kind.FLAG: "boolean", Kind.NUMBER: "int64", Kind.INSTANT: "timestamp(6)"}
_SCHEMA = {
    "account_id": "string",
    "handle": "string",
    "canonical": "string",
    **{name: _TYPES.get(kind, "string") for name, kind in rules.SIGNALS.items()},
    "bot_score": "float64",
}
_ORDER = (Outcome.KEEP, Outcome.PROTECTED, Outcome.WARN, Outcome.RECLAIM, Outcome.RETIRE)
"""Findings after `keep`, those with a notice period after `protected`."""

Flag: TypeAlias = ir.BooleanValue
Reasons: TypeAlias = Sequence[str | tuple[Flag, str]]
"""Codes; one with a flag is a reason only where the flag holds."""


def schema() -> dict[str, str]:
    """The columns of the account table that an expression may read, by type."""
    return {name: kind for name, kind in _SCHEMA.items() if name not in LISTS}


@dataclass(frozen=True, slots=True)
class _Step:
    """One way to come to a verdict: when it is the first that applies, it decides."""

    when: Flag
    outcome: Outcome
    reasons: Reasons


def expression(
    policy: Policy,
    as_of: datetime,
    *,
    listed: bool = False,
    words: bool = False,
    kept: bool = False,
) -> ir.Table:
    """Every finding, as engines.FINDINGS has it; with `kept`, the accounts that are kept as well.

    It reads the tables ACCOUNTS (`schema()`), with `listed` LISTED (`canonical`, each once, and a
    flag for each list), and with `words` WORDS (`word`, each once, and WORD_FACTS). `as_of` is
    aware; instants in the tables are UTC without a zone.
    """
    at = as_of.astimezone(UTC)
    accounts = ibis.table(schema(), name=ACCOUNTS)
    if listed:
        accounts = _with_lists(accounts)
    decided = accounts.mutate(step=_first(_steps(policy, accounts, at)))
    if not kept:
        decided = decided.filter(decided.step > 0)
    if words:
        decided = _with_words(decided)
    return _described(policy, decided, _numbered(_steps(policy, decided, at)), at)


def _with_lists(accounts: ir.Table) -> ir.Table:
    listed = ibis.table({"canonical": "string", **dict.fromkeys(LISTS, "boolean")}, name=LISTED)
    joined = accounts.left_join(listed, "canonical")
    return joined.select(*accounts.columns, *(joined[name] for name in LISTS))


# Rules


def _steps(policy: Policy, t: ir.Table, at: datetime) -> list[_Step]:
    return [
        *_protect(policy, t, at),
        *_suspend(policy, t, at),
        *_squat(policy, t, at),
        *_idle(policy, t, at),
    ]


def _numbered(steps: Sequence[_Step]) -> dict[int, _Step]:
    """Each step by its number, in order; findings stand above 0, each outcome in a row.

    So one comparison tells an outcome; an engine may turn a list of numbers into a join.
    """
    by_outcome = sorted(range(len(steps)), key=lambda i: _ORDER.index(steps[i].outcome))
    kept = sum(step.outcome is Outcome.KEEP for step in steps)
    number = {i: place - kept + 1 for place, i in enumerate(by_outcome)}
    return {number[i]: step for i, step in enumerate(steps)}


def _first(steps: Sequence[_Step]) -> ir.IntegerValue:
    """The number of the first step that applies; the last one always does."""
    *others, last = ((step.when, number) for number, step in _numbered(steps).items())
    return ibis.cases(*others, else_=last[1]).cast("int8")


def _reclaim(policy: Policy, t: ir.Table, when: Flag, reasons: Reasons) -> list[_Step]:
    """Reclaimed, or retired where too much refers to the handle."""
    many = t.inbound_refs >= policy.periods.resting_days[-1][0]
    retired = [*reasons, rules.MANY_REFERENCES]
    return [
        _Step(when & many, Outcome.RETIRE, retired),
        _Step(when, Outcome.RECLAIM, reasons),
    ]


def _meets(condition: Condition, t: ir.Table, at: datetime) -> Flag:
    """True, false, or null where the signal is unknown."""
    if condition.signal in LISTS:
        there = t[condition.signal].fill_null(False) if condition.signal in t.columns else None
        return _is(ibis.literal(False) if there is None else there, condition.value)
    seen, value = t[condition.signal], condition.value
    if condition.op is Op.OLDER_THAN:
        assert isinstance(value, int)  # noqa: S101 - so the policy's reader saw to it
        return _since(seen, at, value)
    if condition.op is Op.IN:
        return seen.isin(value)
    if condition.op is Op.IS:
        return _is(seen, value)
    return {
        Op.EQUAL: seen == value,
        Op.UNEQUAL: seen != value,
        Op.BELOW: seen < value,
        Op.AT_MOST: seen <= value,
        Op.ABOVE: seen > value,
        Op.AT_LEAST: seen >= value,
    }[condition.op]


def _is(flag: Flag, value: object) -> Flag:
    return flag if value else ~flag


def _since(instant: ir.TimestampColumn, at: datetime, days: int) -> Flag:
    """Whether `instant` lies at least so many days before `at`."""
    try:
        return instant <= _instant(at - timedelta(days=days))
    except OverflowError:  # before the year 1: nothing is so old
        return instant.isnull() & ibis.literal(False)


def _instant(at: datetime) -> ir.TimestampScalar:
    # A text is exact to the microsecond on every engine; seconds as a float are not.
    return ibis.literal(at.replace(tzinfo=None).isoformat(" ")).cast("timestamp(6)")


def _protect(policy: Policy, t: ir.Table, at: datetime) -> list[_Step]:
    protecting = policy.rules_to(Effect.PROTECT)
    met = [(rule, _meets(rule.when, t, at)) for rule in protecting]
    known = [_Step(flag, Outcome.PROTECTED, [rule.code]) for rule, flag in met]
    doubted: dict[str, Flag] = {}
    for rule in protecting:
        signal = rule.when.signal
        if signal not in policy.assume_absent and signal not in LISTS:
            doubted[signal] = t[signal].isnull()
    if not doubted:
        return known
    some = reduce(lambda a, b: a | b, doubted.values())
    unknown = [(flag, f"unknown_{signal}") for signal, flag in doubted.items()]
    return [*known, _Step(some, Outcome.PROTECTED, unknown)]


def _suspend(policy: Policy, t: ir.Table, at: datetime) -> list[_Step]:
    final, appeal = t.suspension_final_at, t.appeal_open
    days, notice = policy.periods.suspended_days, policy.periods.notice_period_days
    assumed = "appeal_open" in policy.assume_absent
    may_appeal = ibis.literal(False) if assumed else appeal.isnull()
    steps = []
    for rule in policy.rules_to(Effect.SUSPEND):
        holds = _meets(rule.when, t, at)
        steps += [
            _Step(holds & may_appeal, Outcome.KEEP, ["unknown_appeal_open"]),
            _Step(holds & appeal, Outcome.KEEP, [rules.SUSPENSION_APPEALED]),
            _Step(holds & final.isnull(), Outcome.KEEP, [rules.SUSPENSION_NOT_FINAL]),
            *_reclaim(policy, t, holds & _since(final, at, days + notice), [rule.code]),
            _Step(holds & _since(final, at, days), Outcome.WARN, [rule.code]),
            _Step(holds, Outcome.KEEP, [rules.SUSPENSION_RECENT]),
        ]
    return steps


def _squat(policy: Policy, t: ir.Table, at: datetime) -> list[_Step]:
    met = [(_meets(rule.when, t, at), rule.code) for rule in policy.rules_to(Effect.SQUAT)]
    if not met:
        return []
    codes = [code for _, code in met]
    return _reclaim(policy, t, _any(flag for flag, _ in met), codes if len(met) == 1 else met)


def _idle(policy: Policy, t: ir.Table, at: datetime) -> list[_Step]:
    """Kept for what speaks against idleness or for want of a clock; else reclaimed or warned."""
    met = [(rule, _meets(rule.when, t, at)) for rule in policy.rules_to(Effect.IDLE)]
    against: list[tuple[Flag, str]] = []
    for rule, flag in met:
        if rule.unknown is Unknown.KEEP:
            against.append((t[rule.when.signal].isnull(), f"unknown_{rule.when.signal}"))
        against.append((~flag, f"not_{rule.code}"))
    clocks = [(rule, flag) for rule, flag in met if rule.when.op is Op.OLDER_THAN]
    if not clocks:
        return [_Step(ibis.literal(True), Outcome.KEEP, [rules.NO_GROUND])]
    held = [_certain(rule, flag) for rule, flag in met]
    return [
        _Step(_any(flag for flag, _ in against), Outcome.KEEP, against),
        _Step(_none(t, clocks), Outcome.KEEP, [rules.NO_GROUND]),
        *_reclaim(policy, t, _whole(policy, t, at, clocks), held),
        _Step(ibis.literal(True), Outcome.WARN, held),
    ]


def _certain(rule: Rule, flag: Flag) -> str | tuple[Flag, str]:
    return rule.code if rule.unknown is Unknown.KEEP else (flag, rule.code)


def _any(flags: Iterable[Flag]) -> Flag:
    return reduce(lambda a, b: a | b, flags)


def _none(t: ir.Table, clocks: Sequence[tuple[Rule, Flag]]) -> Flag:
    if any(rule.unknown is Unknown.KEEP for rule, _ in clocks):
        return ibis.literal(False)
    return reduce(lambda a, b: a & b, (t[rule.when.signal].isnull() for rule, _ in clocks))


def _whole(policy: Policy, t: ir.Table, at: datetime, clocks: Sequence[tuple[Rule, Flag]]) -> Flag:
    """Whether every clock that is known has run for its notice period as well."""
    notice = policy.periods.notice_period_days
    flags = []
    for rule, _ in clocks:
        assert isinstance(rule.when.value, int)  # noqa: S101 - so the reader saw to it
        seen = t[rule.when.signal]
        run = _since(seen, at, rule.when.value + notice)
        flags.append(run if rule.unknown is Unknown.KEEP else seen.isnull() | run)
    return reduce(lambda a, b: a & b, flags)


# Findings


def _described(policy: Policy, t: ir.Table, steps: Mapping[int, _Step], at: datetime) -> ir.Table:
    running = t.step > _last(steps, Outcome.PROTECTED)
    return t.select(
        "handle",
        "canonical",
        "account_id",
        verdict=_verdict(t, steps),
        reasons=_reasons(t, steps),
        idle_days=_idle_days(policy, t, at),
        deadline_at=_where(running, _deadline(policy, at)),
        tier=_tier(policy, t),
        resting_days=_where(running, _resting(policy, t)),
        followers=t.followers,
        inbound_refs=t.inbound_refs,
    )


def _verdict(t: ir.Table, steps: Mapping[int, _Step]) -> ir.StringValue:
    *others, retire = _ORDER
    ends = ((t.step <= _last(steps, outcome), outcome.value) for outcome in others)
    return ibis.cases(*ends, else_=retire.value)


def _last(steps: Mapping[int, _Step], outcome: Outcome) -> int:
    """The highest number of a step to `outcome`, or to one before it."""
    place = _ORDER.index(outcome)
    return max((i for i, s in steps.items() if _ORDER.index(s.outcome) <= place), default=0)


def _reasons(t: ir.Table, steps: Mapping[int, _Step]) -> ir.ArrayValue:
    return ibis.cases(
        *((t.step == i, _codes(step.reasons)) for i, step in reversed(list(steps.items())))
    )


def _codes(reasons: Reasons) -> ir.ArrayValue:
    if all(isinstance(reason, str) for reason in reasons):
        return ibis.array([_code_or_null(reason) for reason in reasons])
    return ibis.array([_code_or_null(reason) for reason in reasons]).filter(_known)


def _code_or_null(reason: str | tuple[Flag, str]) -> ir.StringValue:
    if isinstance(reason, str):
        return ibis.literal(reason)
    return ibis.ifelse(reason[0], reason[1], ibis.null("string"))


def _known(code: ir.StringValue) -> Flag:
    return code.notnull()


def _idle_days(policy: Policy, t: ir.Table, at: datetime) -> ir.IntegerValue:
    """Whole days since the last activity, never below 0.

    Both instants are moved back by the time of day of `at`, so that whole days are the days
    between dates, which every engine counts alike.
    """
    clocks = [r for r in policy.rules_to(Effect.IDLE) if r.when.op is Op.OLDER_THAN]
    if not clocks:
        return ibis.null("int64")
    known = [t[rule.when.signal] for rule in clocks]
    last = ibis.greatest(*known) if len(known) > 1 else known[0]
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    moved = last - (at - midnight + timedelta(microseconds=1))
    days = ibis.literal(midnight.date()).delta(moved.date(), unit="day") - 1
    return ibis.ifelse(days < 0, 0, days).cast("int64")


def _deadline(policy: Policy, at: datetime) -> ir.TimestampScalar:
    return _instant(at + timedelta(days=policy.periods.notice_period_days))


def _resting(policy: Policy, t: ir.Table) -> ir.IntegerValue:
    refs, bands = t.inbound_refs, policy.periods.resting_days
    unknown = (refs.isnull(), policy.periods.resting_unknown_days)
    return ibis.cases(unknown, *((refs < below, days) for below, days in bands)).cast("int64")


def _where(running: Flag, value: ir.Value) -> ir.Value:
    """`value` where a notice period begins, else null."""
    return ibis.ifelse(running, value, ibis.null(value.type()))


# Tiers


def _with_words(t: ir.Table) -> ir.Table:
    flags = dict.fromkeys(WORD_FACTS, "boolean")
    words = ibis.table({"word": "string", **flags}, name=WORDS)
    joined = t.left_join(words, t.canonical == words.word)
    return joined.select(*t.columns, *(joined[name] for name in WORD_FACTS))


def _tier(policy: Policy, t: ir.Table) -> ir.StringValue:
    tiers = [(_all(tier, t), tier.name) for tier in policy.tiers]
    possible = [(when, name) for when, name in tiers if when is not None]
    if not possible:
        return ibis.literal("standard")
    return ibis.cases(*possible, else_="standard")


def _all(tier: Tier, t: ir.Table) -> Flag | None:
    """Whether each condition holds; None where the table cannot know one of the facts."""
    facts = _facts(t)
    if any(condition.signal not in facts for condition in tier.all):
        return None
    met = [_fact_meets(facts[condition.signal], condition) for condition in tier.all]
    return reduce(lambda a, b: a & b, met) if met else ibis.literal(True)


def _facts(t: ir.Table) -> Mapping[str, ir.Value]:
    name = t.canonical
    shape = {
        "length": name.length(),
        "letters": name.re_replace(r"[^\p{L}]", "").length(),
        "digits": name.re_replace(r"[^0-9]", "").length(),
        "followers": t.followers,
        "inbound_refs": t.inbound_refs,
    }
    return shape | {fact: t[fact] for fact in WORD_FACTS if fact in t.columns}


def _fact_meets(fact: ir.Value, condition: Condition) -> Flag:
    value = condition.value
    if condition.op is Op.IS:
        return fact.fill_null(False) if value else ~fact.fill_null(True)
    compared: Mapping[Op, Flag] = {
        Op.EQUAL: fact == value,
        Op.UNEQUAL: fact != value,
        Op.BELOW: fact < value,
        Op.AT_MOST: fact <= value,
        Op.ABOVE: fact > value,
        Op.AT_LEAST: fact >= value,
    }
    return compared[condition.op].fill_null(False)
