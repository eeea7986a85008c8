"""What a policy is made of: signals, conditions, rules, tiers and periods, as frozen values.

docs/concepts/policy.md explains each; core/policy.py decides with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a signal is measured in; it fixes which operations make sense."""

    FLAG = "flag"  # true or false
    NUMBER = "number"  # a count or a score
    INSTANT = "instant"  # when something last happened
    TEXT = "text"  # one of a few words


class Op(StrEnum):
    """How a condition compares its signal with its value."""

    IS = "is"  # a flag has this value
    EQUAL = "="
    UNEQUAL = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    IN = "in"  # one of a list of words
    OLDER_THAN = "older_than"  # at least this many days of 86,400 s before the instant of asking


OPS: Mapping[Kind, tuple[Op, ...]] = {
    Kind.FLAG: (Op.IS,),
    Kind.NUMBER: (Op.EQUAL, Op.UNEQUAL, Op.BELOW, Op.AT_MOST, Op.ABOVE, Op.AT_LEAST),
    Kind.INSTANT: (Op.OLDER_THAN,),
    Kind.TEXT: (Op.EQUAL, Op.UNEQUAL, Op.IN),
}

COMPARE: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.IS: operator.is_,
    Op.EQUAL: operator.eq,
    Op.UNEQUAL: operator.ne,
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
    Op.IN: lambda seen, words: seen in words,
    Op.OLDER_THAN: operator.ge,
}
"""(what is seen, the condition's value) → whether it holds; for an instant both are ages."""


class Effect(StrEnum):
    """What a rule that holds does; the order is the order in which effects are asked."""

    PROTECT = "protect"  # the account is left alone; the first rule that holds wins
    SUSPEND = "suspend"  # the account is judged by the clock of its suspension alone
    SQUAT = "squat"  # the account never was a holder in good faith
    IDLE = "idle"  # one of several signs of idleness, which must all hold


class Unknown(StrEnum):
    """What an idle rule does when its signal is unknown; neither counts against the holder."""

    KEEP = "keep"  # the account is kept: without this signal nobody is called idle
    SKIP = "skip"  # the other idle rules decide


PROTECTIONS = (
    "memorial",
    "verified",
    "public_body",
    "legal_hold",
    "minor",
    "dispute_open",
    "appeal_open",
    "subscriber",
)
"""The classes that an operator may declare absent; each is a column of the account table."""

LISTS = ("protected_list", "reserved_list")
"""Flags that are never unknown: whether the handle stands on an operator's list."""

SIGNALS: Mapping[str, Kind] = {
    **dict.fromkeys((*PROTECTIONS, *LISTS, "site_alive"), Kind.FLAG),
    **dict.fromkeys(
        (
            "created_at",
            "last_login_at",
            "last_post_at",
            "last_api_at",
            "last_payment_at",
            "suspension_final_at",
        ),
        Kind.INSTANT,
    ),
    **dict.fromkeys(
        ("followers", "following", "posts", "bot_score", "inbound_refs"),
        Kind.NUMBER,
    ),
    **dict.fromkeys(("status", "registered_batch", "locale"), Kind.TEXT),
}
"""What a rule may look at."""

FACTS: Mapping[str, Kind] = {
    "length": Kind.NUMBER,  # characters of the canonical handle
    "letters": Kind.NUMBER,  # how many of them are letters
    "digits": Kind.NUMBER,  # how many of them are ASCII digits
    "words": Kind.NUMBER,  # how many words the handle falls into, if it does
    "dictionary_word": Kind.FLAG,  # it is one word of a dictionary
    "first_name": Kind.FLAG,
    "last_name": Kind.FLAG,
    "full_name": Kind.FLAG,  # first and last name
    "phrase": Kind.FLAG,  # two words or more
    "readable": Kind.FLAG,  # letters that read, mixed with digits
    "brand": Kind.FLAG,
    "culture": Kind.FLAG,  # a person, place or work that everybody knows
    "followers": Kind.NUMBER,
    "inbound_refs": Kind.NUMBER,
}
"""What a tier may look at; a fact that is unknown meets no condition."""

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`signal op value`."""

    signal: str
    op: Op
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition with an effect; `code` is what the public reads when it decided."""

    code: str
    when: Condition
    effect: Effect
    unknown: Unknown = Unknown.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A class of handles; `reason` is one phrase in which {length} and {words} stand for counts."""

    name: str
    all: tuple[Condition, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Every period of reclaim, in days of 86,400 s unless the name says otherwise."""

    suspended_days: int = 180
    notice_days: tuple[int, ...] = (30, 14, 3)
    resting_days: tuple[tuple[int, int], ...] = ((10, 30), (100, 60), (1_000, 90), (10_000, 180))
    resting_unknown_days: int = 180
    appeal_days: int = 180
    waking_days: int = 90
    release_percent: tuple[int, ...] = (1, 10, 100)
    release_daily: int = 1_000_000
    upheld: str = "compensate"
    compensate_percent: int = 50

    @property
    def notice_period_days(self) -> int:
        """From the first notice to the deadline."""
        return self.notice_days[0]

    def resting(self, references: int | None) -> int | None:
        """Days of rest for a handle with so many inbound references; None: it is retired."""
        if references is None:
            return self.resting_unknown_days
        return next((days for below, days in self.resting_days if references < below), None)


UPHELD = ("wait", "return_and_refund", "compensate")
"""What an appeal that is upheld after the sale brings its holder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A published policy. `assume_absent` are protections that this platform does not have.

    Without a `profile` the namespace's counts.
    """

    id: str
    version: int
    effective_from: datetime
    profile: str | None
    periods: Periods
    assume_absent: frozenset[str]
    rules: tuple[Rule, ...]
    tiers: tuple[Tier, ...]

    def rules_to(self, effect: Effect) -> tuple[Rule, ...]:
        """Its rules of one effect, in order."""
        return tuple(rule for rule in self.rules if rule.effect is effect)

    @property
    def signals(self) -> tuple[str, ...]:
        """The account columns that a verdict reads, each once, in order of first use."""
        used = [rule.when.signal for rule in self.rules]
        if self.rules_to(Effect.SUSPEND):
            used += ["suspension_final_at", "appeal_open"]
        return tuple(dict.fromkeys([*used, "inbound_refs"]))
