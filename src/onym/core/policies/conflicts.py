"""Rules that contradict one another: one can never hold, or two can never hold together.

Two conditions on one signal cut its values into a few pieces, so a value from each piece shows
everything that can happen between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from onym.core.policies.model import COMPARE, SIGNALS, Condition, Effect, Kind, Op, Rule, Unknown


def find(rules: Sequence[tuple[int, Rule]]) -> Iterator[tuple[int, str]]:
    """The number of each rule that contradicts an earlier one, and how it does."""
    for (_, first), (i, later) in itertools.combinations(rules, 2):
        if first.when.signal == later.when.signal and (told := _conflict(first, later)):
            yield i, f"rule {later.code!r} contradicts {first.code!r}: {told}"


def _conflict(first: Rule, later: Rule) -> str | None:
    outcomes = set(_outcomes(first.when, later.when))
    effects = {first.effect, later.effect}
    if not outcomes & {(True, False), (False, True)}:
        return "the condition is the same" if len(effects) == 1 else "one condition, two effects"
    if effects == {Effect.PROTECT} and (False, False) not in outcomes:
        return f"together they protect every account whose {first.when.signal} is known"
    if effects == {Effect.IDLE}:
        return _idle_conflict(first, later, outcomes)
    if Effect.PROTECT in effects and len(effects) == 2:
        return _protected_anyway(first, later, outcomes)
    return None


def _idle_conflict(first: Rule, later: Rule, outcomes: set[tuple[bool, bool]]) -> str | None:
    if (True, True) not in outcomes:
        return "both must hold for an account to be idle, and they never do"
    if first.when.op is Op.OLDER_THAN and first.unknown is later.unknown is Unknown.KEEP:
        return "one signal has two periods of idleness"
    return None


def _protected_anyway(first: Rule, later: Rule, outcomes: set[tuple[bool, bool]]) -> str | None:
    first_protects = first.effect is Effect.PROTECT
    protect, other = (first, later) if first_protects else (later, first)
    unprotected = (False, True) if first_protects else (True, False)
    if unprotected not in outcomes:
        return f"whatever meets {other.code!r} is protected by {protect.code!r}"
    return None


def _outcomes(one: Condition, other: Condition) -> Iterator[tuple[bool, bool]]:
    """How both conditions turn out, over a value of every piece."""
    for value in _pieces(one, other):
        yield COMPARE[one.op](value, one.value), COMPARE[other.op](value, other.value)


def _pieces(one: Condition, other: Condition) -> Sequence[object]:
    kind = SIGNALS[one.signal]
    if kind is Kind.FLAG:
        return (True, False)
    if kind is Kind.TEXT:
        named = (c.value if isinstance(c.value, tuple) else (c.value,) for c in (one, other))
        return (*itertools.chain.from_iterable(named), "")
    low, high = sorted(float(c.value) for c in (one, other) if isinstance(c.value, int | float))
    return (low - 1, low, (low + high) / 2, high, high + 1)
