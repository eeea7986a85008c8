"""Trouble on demand, used up as it happens: planned by a lever, or tied to an address.

At the recipient: `refuse` (550), `greylist` (451), `unavailable` (421). At the letter:
`refuse_letter` (554), `defer_letter` (451), `late` (kept, the answer waits), `lost` (kept, the
line is cut), `silent` (cut, nothing kept), `crash_before` and `crash_after` (kill -9 of itself).
Addresses at `bounce.example` are always refused; at `grey.example` a pair's first try is put off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onym_demo.mailbox.state import State

AT_RECIPIENT = {
    "refuse": "550 5.1.1 No such mailbox",
    "greylist": "451 4.7.1 Greylisted, try again later",
    "unavailable": "421 4.3.2 Service not available",
}
AT_LETTER = {
    "refuse_letter": "554 5.7.1 Refused",
    "defer_letter": "451 4.3.0 Try again later",
    "late": "",
    "lost": "",
    "silent": "",
    "crash_before": "",
    "crash_after": "",
}
BOUNCING, GREY = "@bounce.example", "@grey.example"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str = ""
    seconds: float = 0.0


NONE = Fault()


def plan(state: State, wanted: dict[str, Any]) -> None:
    """Add `{"kind", "to", "times", "seconds"}`; ValueError says what is wrong with it."""
    kind = str(wanted.get("kind", ""))
    if kind not in AT_RECIPIENT | AT_LETTER:
        raise ValueError(f"unknown kind of fault: {kind}")
    state.db.execute(
        "INSERT INTO faults (kind, recipient, times, seconds) VALUES (?, ?, ?, ?)",
        (
            kind,
            str(wanted.get("to", "")).lower(),
            int(wanted.get("times", 1)),
            float(wanted.get("seconds", 0)),
        ),
    )


def take(state: State, kinds: dict[str, str], recipient: str) -> Fault:
    """The oldest planned fault of these kinds for this recipient, used up by one; or none."""
    for row in state.rows(
        "SELECT * FROM faults WHERE times > 0 AND recipient IN ('', ?) ORDER BY seq",
        recipient.lower(),
    ):
        if row["kind"] in kinds:
            state.db.execute("UPDATE faults SET times = times - 1 WHERE seq = ?", (row["seq"],))
            return Fault(row["kind"], row["seconds"])
    return NONE


def at_recipient(state: State, *, sender: str, recipient: str) -> str:
    """The refusal that this recipient meets now, or empty text."""
    address = recipient.lower()
    if address.endswith(BOUNCING):
        return AT_RECIPIENT["refuse"]
    if address.endswith(GREY) and _first_try(state, sender, address):
        return AT_RECIPIENT["greylist"]
    return AT_RECIPIENT.get(take(state, AT_RECIPIENT, address).kind, "")


def _first_try(state: State, sender: str, recipient: str) -> bool:
    known = state.db.execute(
        "INSERT OR IGNORE INTO greylist (sender, recipient) VALUES (?, ?)", (sender, recipient)
    )
    return known.rowcount == 1


def clear(state: State) -> None:
    state.db.execute("DELETE FROM faults")
