"""A whole account changes hands: new credentials, and what was private is destroyed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import sha256
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

    Without an address only the fence rises. Refused: an unknown account, a fence not above the
    highest used, another handle or another last hand-over than named, something unknown to wipe.
    """
    found = need(db, account_id, status=404)
    fence, email, wipe = wish.get("fence"), wish.get("email"), wish.get("wipe", [])
    if not _is_address(email) or not isinstance(wipe, list):
        raise Problem(422, "malformed", "email is an address or null, wipe a list")
    if not set(map(str, wipe)) <= set(_BELONGINGS):
        raise Problem(422, "malformed", f"wipe takes {', '.join(_BELONGINGS)}")
    if type(fence) is not int or fence <= found["fence"]:
        raise Problem(412, "stale_fence", fence=found["fence"])
    _expect_as_named(db, found, wish)
    if email is None:
        db.execute("UPDATE accounts SET fence = ? WHERE id = ?", (fence, found["id"]))
        return {"account_id": str(found["id"]), "fence": fence}
    db.execute("INSERT OR REPLACE INTO handed_over VALUES (?, ?)", (found["id"], fence))
    db.execute(
        "UPDATE accounts SET email = ?, fence = ?, credentials = credentials + 1, "
        "handed_over_at = ? WHERE id = ?",
        (email, fence, now, found["id"]),
    )
    gone = _destroy(db, found["id"], {*wipe, "sessions"})
    return {"account_id": str(found["id"]), "wiped": gone, "at": instant(now)}


def _is_address(email: object) -> bool:
    return email is None or (isinstance(email, str) and "@" in email)


def _expect_as_named(db: sqlite3.Connection, found: sqlite3.Row, wish: Mapping[str, Any]) -> None:
    """Refused: 412 for an account that holds another handle, or was handed over since."""
    handle, last = wish.get("handle"), wish.get("last")
    if handle is not None and str(handle).lower() != found["handle"].lower():
        raise Problem(412, "wrong_handle", handle=found["handle"])
    if last is not None and last != _last(db, found["id"]):
        raise Problem(412, "handed_over", fence=_last(db, found["id"]))


def _last(db: sqlite3.Connection, account_id: int) -> int:
    """The fence of the hand-over that is in force, 0 before any."""
    done = db.execute(
        "SELECT fence FROM handed_over WHERE account_id = ?", (account_id,)
    ).fetchone()
    return int(done["fence"]) if done else 0


def told(db: sqlite3.Connection, account_id: object) -> dict[str, Any]:
    """The read-back: which hand-over is in force, and the digest of the address now."""
    found = need(db, account_id, status=404)
    email = found["email"]
    address = sha256(email.strip().lower().encode()).hexdigest() if email else None
    name = str(found["id"])
    return {"account_id": name, "fence": _last(db, found["id"]), "address": address}


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
