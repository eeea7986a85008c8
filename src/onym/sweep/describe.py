"""What a finding's handle is worth and in which tier it is: read with the lexicon, one by one.

This is the slow part of a sweep, so it runs over findings only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from onym.core import appraisal, reading
from onym.core import policy as rules
from onym.core.lexicon import Lexicon
from onym.core.money import Money
from onym.core.policy import Policy


class Described(NamedTuple):
    """The middle of an appraisal in minor units, and the name of a tier."""

    mid_minor: int | None
    tier: str


Describe = Callable[[pa.RecordBatch], Sequence[Described]]
"""Findings with the columns `canonical`, `followers` and `inbound_refs` → one for each row."""


def describer(
    policy: Policy,
    lexicon: Lexicon,
    *,
    base: Money = appraisal.DEFAULT_BASE,
) -> Describe:
    """Tiers by `policy`, appraisals by the built-in model at the level `base`."""
    model = appraisal.built_in()

    def one(canonical: str, followers: int | None, refs: int | None) -> Described:
        read = reading.read(canonical, lexicon=lexicon)
        facts = {**reading.facts_of(read), "followers": followers, "inbound_refs": refs}
        worth = appraisal.of_reading(read, lexicon=lexicon, model=model, base=base, refs=refs)
        return Described(worth.mid.minor, rules.tier(policy, facts).name)

    def all_of(batch: pa.RecordBatch) -> list[Described]:
        columns = (batch.column(n).to_pylist() for n in ("canonical", "followers", "inbound_refs"))
        return [one(*row) for row in zip(*columns, strict=True)]

    return all_of
