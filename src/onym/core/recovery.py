"""What banks took and nobody made good: how much of it whoever was paid owes, and may be taken.

See docs/concepts/chargebacks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owed:
    """One claim in minor units: `minor` of it are open, at most `most` more are its debtor's."""

    chargeback: str
    minor: int
    most: int


def shares(claims: Sequence[Owed], *, out_of: int) -> dict[str, int]:
    """How much of `out_of` meets each claim, the oldest first; none of it is more than is owed."""
    taken: dict[str, int] = {}
    for claim in claims:
        part = min(claim.minor, claim.most, out_of - sum(taken.values()))
        if part > 0:
            taken[claim.chargeback] = part
    return taken
