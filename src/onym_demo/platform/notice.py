"""Notices: what the platform tells an account, shown on its page."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from onym_demo.platform import account
from onym_demo.platform.problem import Problem


def notify(
    db: sqlite3.Connection, account_id: object, wish: Mapping[str, Any], *, now: int
) -> dict[str, Any]:
    """A message shown on the account's page; `href` may be null."""
    found = account.need(db, account_id, status=404)
    kind, text, href = wish.get("kind"), wish.get("text"), wish.get("href")
    if not (isinstance(kind, str) and isinstance(text, str) and isinstance(href, str | None)):
        raise Problem(422, "malformed", "a notice has kind, text and href")
    made = db.execute(
        "INSERT INTO notices (account_id, kind, text, href, at) VALUES (?, ?, ?, ?, ?)",
        (found["id"], kind, text, href, now),
    )
    return {
        "notice_id": str(made.lastrowid),
        "account_id": str(found["id"]),
        "at": account.instant(now),
    }


def latest(db: sqlite3.Connection, account_id: int, *, limit: int) -> Sequence[sqlite3.Row]:
    """The newest first."""
    return db.execute(
        "SELECT kind, text, href, at FROM notices WHERE account_id = ? ORDER BY id DESC LIMIT ?",
        (account_id, limit),
    ).fetchall()
