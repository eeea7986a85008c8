"""The steps of a sale as its page draws them: what is done, what is under way, what comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as said

from onym.core.term import Term


@dataclass(frozen=True, slots=True)
class Step:
    """`mark` is done, now, failed or empty; `until` is the deadline of what is under way."""

    mark: str
    name: str
    says: str
    until: datetime | None


STEPS = (
    ("agreed", said("Agreed"), said("Price and parties are fixed."), ""),
    ("funding", said("Paid"), said("The buyer pays; the money goes into escrow."), "funding"),
    ("cooling", said("Cooling-off"), said("Time for either side to notice a theft."), "cooling"),
    ("delivering", said("Moved"), said("The platform moves the handle."), "delivery"),
    ("inspection", said("Inspected"), said("The buyer looks whether all is well."), "inspection"),
    ("settled", said("Settled"), said("The seller is paid; the sale is over."), ""),
)
"""State that a step stands for, its name, what happens in it, and its clock."""

WHOLE = {
    "delivering": (said("Handed over"), said("The platform hands over the whole account.")),
}
"""What a step is called, and what happens in it, where a whole account is sold."""

STANDS_AT = {
    "agreed": "funding",
    "funding_unknown": "funding",
    "funded": "delivering",
    "delivery_unknown": "delivering",
    "disputed": "inspection",
    "returning": "settled",
    "refunding": "delivering",
    "refunded": "delivering",
    "expired": "funding",
    "cancelled": "funding",
}
FAILED = frozenset({"refunding", "refunded", "expired", "cancelled"})


def of_sale(view: Mapping[str, Any]) -> list[Step]:
    """The steps of this sale, in order; cooling-off only where the sale has one."""
    state, clocks = view["state"], view["clocks"]
    shown = [s for s in STEPS if s[0] != "cooling" or clocks["cooling"] or state == "cooling"]
    if view["term"] == Term.ACCOUNT:
        shown = [(s[0], *WHOLE.get(s[0], s[1:3]), s[3]) for s in shown]
    here = [s[0] for s in shown].index(STANDS_AT.get(state, state))
    return [
        Step(
            mark=_mark(place, here, state),
            name=gettext(name),
            says=gettext(says),
            until=clocks.get(clock) if place == here and state not in FAILED else None,
        )
        for place, (_, name, says, clock) in enumerate(shown)
    ]


def _mark(place: int, here: int, state: str) -> str:
    if place < here or state == "settled":
        return "done"
    if place > here:
        return ""
    return "failed" if state in FAILED else "now"
