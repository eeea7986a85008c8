"""Notices: what the platform tells an account, shown on its page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from onym_demo.platform import account
from onym_demo.platform.once import Answer, kept, need_key
from onym_demo.platform.problem import Problem

LARGEST_BATCH: Final = 500


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


def notify_many(
    db: sqlite3.Connection, key_id: str, wish: Mapping[str, Any], *, now: int
) -> Answer:
    """Notices by the hundred, each under a key of its own; one answer an item, in their order.

    Refused: 422 malformed, for more than LARGEST_BATCH or anything that is no list of objects.
    """
    items = wish.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Problem(422, "malformed", "items is a list of objects")
    if len(items) > LARGEST_BATCH:
        raise Problem(422, "malformed", f"at most {LARGEST_BATCH} notices at a time")
    told = [_one_of_many(db, key_id, item, now=now) for item in items]
    answers = (f'{{"status": {status}, "answer": {text}}}' for status, text in told)
    return 200, f'{{"items": [{", ".join(answers)}]}}'


def _one_of_many(
    db: sqlite3.Connection, key_id: str, item: Mapping[str, Any], *, now: int
) -> Answer:
    payload = json.dumps(item, sort_keys=True).encode()
    try:
        key = need_key(item.get("key"))
        return kept(
            db,
            (key_id, key),
            payload,
            201,
            lambda db: notify(db, item.get("account_id"), item, now=now),
        )
    except Problem as refusal:
        return refusal.status, refusal.json()
