"""A whole account changes hands: new credentials, and what was private is destroyed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

from onym_demo import sample
from onym_demo.platform.account import instant, need
from onym_demo.platform.problem import Problem

_BELONGINGS: Final = ("messages", "contacts", "sessions")


def furnish(db: sqlite3.Connection, account_id: int) -> None:
    """What only the holder sees, and what a hand-over must destroy."""
    things = (
        ("messages", "See you at the station at nine?"),
        ("messages", "Happy birthday from all of us."),
        ("contacts", str(sample.FIRST_ID + account_id % 97)),
        ("sessions", "phone"),
        ("sessions", "laptop"),
    )
    db.executemany(
        "INSERT INTO belongings (account_id, kind, text) VALUES (?, ?, ?)",
        [(account_id, kind, text) for kind, text in things],
    )


def hand_over(
    db: sqlite3.Connection, account_id: object, wish: Mapping[str, Any], *, now: int
) -> dict[str, Any]:
    """New credentials for a new person: the old password, sessions and address are void.

    Refused: an unknown account, a fence not above the last, something unknown to wipe.
    """
    found = need(db, account_id, status=404)
    fence, email, wipe = wish.get("fence"), wish.get("email"), wish.get("wipe", [])
    if not isinstance(email, str) or "@" not in email or not isinstance(wipe, list):
        raise Problem(422, "malformed", "email is an address, wipe a list")
    if not set(wipe) <= set(_BELONGINGS):
        raise Problem(422, "malformed", f"wipe takes {', '.join(_BELONGINGS)}")
    if not isinstance(fence, int) or fence <= found["fence"]:
        raise Problem(412, "stale_fence", fence=found["fence"])
    db.execute(
        "UPDATE accounts SET email = ?, fence = ?, credentials = credentials + 1, "
        "handed_over_at = ? WHERE id = ?",
        (email, fence, now, found["id"]),
    )
    gone = _destroy(db, found["id"], {*wipe, "sessions"})
    return {"account_id": str(found["id"]), "wiped": gone, "at": instant(now)}


def _destroy(db: sqlite3.Connection, account_id: int, kinds: Iterable[str]) -> dict[str, int]:
    counts = {}
    for kind in sorted(kinds):
        done = db.execute(
            "DELETE FROM belongings WHERE account_id = ? AND kind = ?", (account_id, kind)
        )
        counts[kind] = done.rowcount
    return counts


def private(db: sqlite3.Connection, account_id: object) -> dict[str, Any]:
    """What only the holder sees, for the demo's tests: credentials and belongings counted."""
    found = need(db, account_id)
    counts = dict.fromkeys(_BELONGINGS, 0) | dict(
        db.execute(
            "SELECT kind, count(*) FROM belongings WHERE account_id = ? GROUP BY kind",
            (found["id"],),
        ).fetchall()
    )
    return {
        "account_id": str(found["id"]),
        "email": found["email"],
        "credentials": found["credentials"],
        "handed_over_at": instant(found["handed_over_at"]),
        **counts,
    }
