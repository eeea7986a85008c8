"""Faults on demand: each is planned for a verb, used up as it happens, and kept in the state.

Answers: `slow` (waits, acts), `late` (acts, waits), `lost` (acts, cuts the line), `silent` (cuts
without acting), `error` (500, nothing done), `error_kept` (500, nothing done, remembered under the
key), `error_after` (acts, then 500 for ever under that key), `rate_limit` (429), `crash_before`
and `crash_after` (kill -9 of the server itself before or after the commit).
Webhooks, verb `webhooks`: `duplicate`, `delay`, `reorder`, `drop`, `wrong_signature`,
`stale_signature`.
"""

from __future__ import annotations

from dataclasses import dataclass

from onym_demo.payments.state import State
from onym_demo.payments.wire import JSON, WireError

ANSWERS = {"slow", "late", "lost", "silent", "error", "error_kept", "error_after", "rate_limit"}
ANSWERS |= {"crash_before", "crash_after"}
WEBHOOKS = {"duplicate", "delay", "reorder", "drop", "wrong_signature", "stale_signature"}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str = ""
    seconds: float = 0.0


NONE = Fault()


def plan(state: State, wanted: JSON) -> int:
    """Add a fault `{"verb", "kind", "times", "seconds", "sale_id"}`; returns its number."""
    verb, kind = str(wanted.get("verb", "*")), str(wanted.get("kind", ""))
    if kind not in (WEBHOOKS if verb == "webhooks" else ANSWERS):
        raise WireError(f"Unknown kind of fault for {verb}: {kind}", param="kind", kept=False)
    try:
        times, seconds = int(wanted.get("times", 1)), float(wanted.get("seconds", 0))
    except (TypeError, ValueError):
        raise WireError("times and seconds are numbers", param="times", kept=False) from None
    return int(
        state.db.execute(
            "INSERT INTO faults (verb, kind, times, seconds, sale_id) VALUES (?, ?, ?, ?, ?)",
            (verb, kind, times, seconds, str(wanted.get("sale_id", ""))),
        ).lastrowid
        or 0
    )


def take(state: State, *, verb: str, sale_id: str) -> Fault:
    """The oldest planned fault for this verb (and sale), used up by one; or none."""
    rows = state.rows(
        "SELECT seq, kind, seconds FROM faults WHERE times > 0 AND sale_id IN ('', ?)"
        " AND (verb = ? OR (verb = '*' AND ? <> 'webhooks')) ORDER BY seq LIMIT 1",
        sale_id,
        verb,
        verb,
    )
    if not rows:
        return NONE
    state.db.execute("UPDATE faults SET times = times - 1 WHERE seq = ?", (rows[0]["seq"],))
    return Fault(rows[0]["kind"], rows[0]["seconds"])


def planned(state: State) -> list[JSON]:
    return [dict(row) for row in state.rows("SELECT * FROM faults WHERE times > 0 ORDER BY seq")]


def clear(state: State) -> None:
    state.db.execute("DELETE FROM faults")
