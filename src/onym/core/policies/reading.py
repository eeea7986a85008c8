"""A policy read from its TOML text; every fault is told with its line and column, all at once."""

from __future__ import annotations

import itertools
import math
import re
import string
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from onym.core import errors, names
from onym.core.policies import conflicts, lines
from onym.core.policies.model import (
    FACTS,
    OPS,
    PROTECTIONS,
    SIGNALS,
    UPHELD,
    Condition,
    Effect,
    Kind,
    Op,
    Periods,
    Policy,
    Rule,
    Tier,
    Unknown,
    Value,
)

LONGEST_PERIOD_DAYS = 36_500
MOST_RULES = 100
_SLUG = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OWN_CODES = re.compile(r"(not|unknown|suspension)_.*|many_references|no_ground")
_SYNTAX = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Fault(NamedTuple):
    """One thing that is wrong with a policy's text."""

    line: int
    column: int
    what: str


def read(text: str, source: str) -> Policy:
    """The policy in `text`; `source` names it in messages.

    Refuses `malformed` with every fault found: `faults` holds line, column and words of each.
    """
    if "\x00" in text:
        raise _refusal(source, [Fault(1, 1, "this is not a text file")])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(source, [_syntax(error, text)]) from None
    reader = _Reader(document, lines.Places(text))
    policy = reader.policy()
    if policy is None or reader.faults:
        raise _refusal(source, sorted(set(reader.faults)))
    return policy


def _refusal(source: str, faults: Sequence[Fault]) -> errors.Malformed:
    told = "\n".join(f"{source}:{f.line}:{f.column}: {f.what}" for f in faults)
    return errors.Malformed(told, faults=[fault._asdict() for fault in faults])


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> Fault:
    if found := _SYNTAX.fullmatch(str(error)):
        return Fault(int(found[2]), int(found[3]), found[1])
    return Fault(*lines.at(text, len(text)), str(error).removesuffix(" (at end of document)"))


class _Reader:
    """Walks a parsed document, notes faults and goes on, so that one reading tells them all."""

    def __init__(self, document: Mapping[str, Any], places: lines.Places) -> None:
        self.document = document
        self.places = places
        self.faults: list[Fault] = []

    # Faults and fields

    def wrong(self, path: lines.Path, what: str) -> None:
        self.faults.append(Fault(*self.places.value(path), what))

    def only(self, table: Mapping[str, Any], path: lines.Path, known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                place = self.places.key((*path, key))
                told = f"unknown field {key!r}; there are {', '.join(known)}"
                self.faults.append(Fault(*place, told))

    def need(
        self, table: Mapping[str, Any], path: lines.Path, key: str, read: Callable[[Any], T]
    ) -> T | None:
        """`table[key]` through `read`, which raises ValueError with what is wrong."""
        if key not in table:
            self.faults.append(Fault(*self.places.key(path), f"field {key!r} is missing"))
            return None
        return self.may(table, path, key, read)

    def may(
        self, table: Mapping[str, Any], path: lines.Path, key: str, read: Callable[[Any], T]
    ) -> T | None:
        if key not in table:
            return None
        try:
            return read(table[key])
        except ValueError as why:
            self.wrong((*path, key), f"{key}: {why}")
            return None

    def tables(self, key: str) -> list[Mapping[str, Any]]:
        found = self.document.get(key, [])
        if isinstance(found, list) and all(isinstance(table, dict) for table in found):
            return found[:MOST_RULES] if self._few(key, found) else []
        self.wrong((key,), f"{key}: write each one as a [[{key}]] table")
        return []

    def _few(self, key: str, found: Sequence[Any]) -> bool:
        if len(found) > MOST_RULES:
            self.wrong((key, MOST_RULES), f"{key}: at most {MOST_RULES} are possible")
        return len(found) <= MOST_RULES

    # The policy

    def policy(self) -> Policy | None:
        document = self.document
        fields = ("id", "version", "effective_from", "profile", "periods", "assume_absent")
        self.only(document, (), (*fields, "rule", "tier"))
        id_ = self.need(document, (), "id", _matching(_SLUG, "letters a to z, digits, - and ."))
        version = self.need(document, (), "version", _whole(1, 10**9))
        effective = self.need(document, (), "effective_from", _instant)
        profile = self.may(document, (), "profile", _one_of(tuple(names.PROFILES)))
        periods = self.periods()
        assumed = self.assumed()
        rules = self.rules()
        tiers = self.tiers()
        if id_ is None or version is None or effective is None:
            return None
        return Policy(
            id=id_,
            version=version,
            effective_from=effective,
            profile=profile,
            periods=periods,
            assume_absent=assumed,
            rules=rules,
            tiers=tiers,
        )

    def assumed(self) -> frozenset[str]:
        given = self.document.get("assume_absent", [])
        if not isinstance(given, list):
            self.wrong(("assume_absent",), "assume_absent: a list of protections is needed")
            return frozenset()
        for i, name in enumerate(given):
            if name not in PROTECTIONS:
                told = f"{name!r} is no protection; there are {', '.join(PROTECTIONS)}"
                self.wrong(("assume_absent", i), f"assume_absent: {told}")
        return frozenset(name for name in given if isinstance(name, str))

    def periods(self) -> Periods:
        table = self.document.get("periods", {})
        if not isinstance(table, dict):
            self.wrong(("periods",), "periods: write them as a [periods] table")
            return Periods()
        self.only(table, ("periods",), tuple(_PERIODS))
        found = {
            key: value
            for key, read in _PERIODS.items()
            if (value := self.may(table, ("periods",), key, read)) is not None
        }
        return Periods(**found)

    def rules(self) -> tuple[Rule, ...]:
        rules: list[tuple[int, Rule]] = []
        seen: dict[str, int] = {}
        for i, table in enumerate(self.tables("rule")):
            rule = self.rule(table, ("rule", i))
            if rule is None:
                continue
            if rule.code in seen:
                first = self.places.value(("rule", seen[rule.code], "code"))
                told = f"code {rule.code!r} is taken by the rule on line {first.line}"
                self.wrong(("rule", i, "code"), told)
            seen.setdefault(rule.code, i)
            rules.append((i, rule))
        for i, told in conflicts.find(rules):
            self.wrong(("rule", i), told)
        self._one_clock(rules)
        if not rules and not self.faults:
            self.wrong((), "there is no [[rule]]: nothing would ever be decided")
        return tuple(rule for _, rule in rules)

    def _one_clock(self, rules: Sequence[tuple[int, Rule]]) -> None:
        idle = [(i, rule) for i, rule in rules if rule.effect is Effect.IDLE]
        if idle and not any(rule.when.op is Op.OLDER_THAN for _, rule in idle):
            self.wrong(("rule", idle[0][0]), f"no idle rule says since when: {Op.OLDER_THAN}")

    def rule(self, table: Mapping[str, Any], path: lines.Path) -> Rule | None:
        self.only(table, path, ("code", "signal", "op", "value", "effect", "unknown"))
        code = self.need(table, path, "code", _code)
        effect = self.need(table, path, "effect", _member(Effect))
        when = self.condition(table, path, SIGNALS)
        unknown = self.may(table, path, "unknown", _member(Unknown))
        if unknown is not None and effect not in (None, Effect.IDLE):
            self.wrong((*path, "unknown"), f"unknown: only an idle rule has it, not {effect}")
        if code is None or effect is None or when is None:
            return None
        return Rule(code=code, when=when, effect=effect, unknown=unknown or Unknown.KEEP)

    def condition(
        self, table: Mapping[str, Any], path: lines.Path, signals: Mapping[str, Kind]
    ) -> Condition | None:
        signal = self.need(table, path, "signal", _one_of(tuple(signals)))
        op = self.need(table, path, "op", _member(Op))
        if signal is None or op is None or "value" not in table:
            self.need(table, path, "value", lambda value: value)
            return None
        kind = signals[signal]
        if op not in OPS[kind]:
            allowed = ", ".join(OPS[kind])
            self.wrong((*path, "op"), f"op: {signal} ({kind}) takes {allowed}")
            return None
        value = self.need(table, path, "value", lambda given: _value(given, kind, op))
        return None if value is None else Condition(signal=signal, op=op, value=value)

    def tiers(self) -> tuple[Tier, ...]:
        found = (self.tier(table, ("tier", i)) for i, table in enumerate(self.tables("tier")))
        return tuple(tier for tier in found if tier is not None)

    def tier(self, table: Mapping[str, Any], path: lines.Path) -> Tier | None:
        self.only(table, path, ("name", "all", "reason"))
        name = self.need(table, path, "name", _one_of(("standard", "priority", "rare")))
        reason = self.need(table, path, "reason", _reason)
        given = self.need(table, path, "all", _list)
        if name is None or reason is None or given is None:
            return None
        conditions = [self.fact((*path, "all", i), condition) for i, condition in enumerate(given)]
        met = tuple(condition for condition in conditions if condition is not None)
        return Tier(name=name, all=met, reason=reason)

    def fact(self, path: lines.Path, table: Any) -> Condition | None:
        if not isinstance(table, dict):
            self.wrong(path, "all: a condition is { signal = …, op = …, value = … }")
            return None
        self.only(table, path, ("signal", "op", "value"))
        return self.condition(table, path, FACTS)


# Single values. Each raises ValueError with what is wrong.


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} is needed")
        return value

    return read


def _matching(pattern: re.Pattern[str], told: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"a text of {told} is needed")
        return value

    return read


def _one_of(known: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"unknown {value!r}; there are {', '.join(known)}")
        return value

    return read


def _member(kind: type[E]) -> Callable[[Any], E]:
    known = _one_of(tuple(kind))
    return lambda value: kind(known(value))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is needed")
    return value


def _code(value: Any) -> str:
    code = _matching(_CODE, "letters a to z, digits and _, a letter first")(value)
    if _OWN_CODES.fullmatch(code):
        raise ValueError(f"{code!r} is a code that only an evaluation gives")
    return code


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant needs its offset, such as Z")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("a date or an instant is needed, without quotation marks")


def _reason(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a phrase is needed")
    for _, name, form, conversion in string.Formatter().parse(value):
        if name is not None and (name not in ("length", "words") or form or conversion):
            raise ValueError("only {length} and {words} may stand in a reason")
    return value


def _value(value: Any, kind: Kind, op: Op) -> Value:
    if op is Op.OLDER_THAN:
        return _days(value)
    if op is Op.IN:
        items = _list(value)
        if not items or not all(isinstance(item, str) for item in items):
            raise ValueError("a list of texts is needed")
        return tuple(items)
    told = {Kind.FLAG: "true or false", Kind.NUMBER: "a number", Kind.TEXT: "a text"}[kind]
    if kind is Kind.FLAG and isinstance(value, bool):
        return value
    if kind is Kind.NUMBER and _is_number(value):
        return float(value) if isinstance(value, float) else int(value)
    if kind is Kind.TEXT and isinstance(value, str):
        return value
    raise ValueError(f"{told} is needed, not {value!r}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < 2**53  # so that every engine holds it exactly


_days = _whole(0, LONGEST_PERIOD_DAYS)


def _notices(value: Any) -> tuple[int, ...]:
    days = tuple(_whole(1, LONGEST_PERIOD_DAYS)(item) for item in _list(value))
    if not days or any(a <= b for a, b in itertools.pairwise(days)):
        raise ValueError("days before the deadline that fall, such as [30, 14, 3], are needed")
    return days


def _bands(value: Any) -> tuple[tuple[int, int], ...]:
    told = "pairs of [references below, days] that rise are needed"
    bands = _list(value)
    if not bands or not all(isinstance(band, list) and len(band) == 2 for band in bands):
        raise ValueError(told)
    found = tuple((_whole(1, 10**15)(below), _days(days)) for below, days in bands)
    if any(a >= b for (a, _), (b, _) in itertools.pairwise(found)):
        raise ValueError(told)
    return found


def _stages(value: Any) -> tuple[int, ...]:
    stages = tuple(_whole(1, 100)(item) for item in _list(value))
    rising = all(a < b for a, b in itertools.pairwise(stages))
    if not stages or not rising or stages[-1] != 100:
        raise ValueError("whole percents that rise to 100 are needed")
    return stages


_PERIODS: Mapping[str, Callable[[Any], Any]] = {
    "suspended_days": _days,
    "notice_days": _notices,
    "resting_days": _bands,
    "resting_unknown_days": _days,
    "appeal_days": _days,
    "waking_days": _days,
    "release_percent": _stages,
    "release_daily": _whole(1, 10**12),
    "upheld": _one_of(UPHELD),
    "compensate_percent": _whole(0, 100),
}
