"""Letters: kept once per recipient, searched, and shown newest last."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from onym_demo.mailbox import handover, parse
from onym_demo.mailbox.state import State


def keep(
    state: State,
    raw: bytes,
    *,
    envelope_sender: str,
    recipients: list[str],
    at: float,
    machine: float,
    own: tuple[str, ...],
) -> int:
    """Keep a letter for each recipient, in the caller's transaction; returns how many were new.

    A letter to one of our `own` addresses is queued for the market, once.
    """
    letter = parse.read(raw, envelope_sender=envelope_sender)
    new = 0
    for recipient in recipients:
        number = _insert(state, letter, raw, recipient, at)
        if number and handover.is_own(recipient, own):
            handover.queue(state, number, letter, recipient, machine)
        new += bool(number)
    return new


def _insert(state: State, letter: parse.Parsed, raw: bytes, recipient: str, at: float) -> int:
    """The new letter's number, or 0 for a further copy of one we have."""
    done = state.db.execute(
        "INSERT INTO letters (message_id, sender, recipient, subject, text, html, headers, raw, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            letter.message_id,
            letter.sender,
            recipient,
            letter.subject,
            letter.text,
            letter.html,
            json.dumps(letter.headers),
            raw,
            at,
        ),
    )
    if done.rowcount:
        return done.lastrowid or 0
    state.db.execute(
        "UPDATE letters SET copies = copies + 1 WHERE message_id = ? AND recipient = ?",
        (letter.message_id, recipient),
    )
    return 0


def find(
    state: State, *, to: str = "", text: str = "", before: int = 0, limit: int = -1
) -> list[sqlite3.Row]:
    """Newest first; `to` is a whole address, `text` is looked for in every readable part."""
    wanted, values = ["1 = 1"], []
    if to:
        wanted.append("recipient = ?")
        values.append(to)
    if text:
        mask = "%" + "".join(f"\\{mark}" if mark in "\\%_" else mark for mark in text) + "%"
        columns = ("subject", "sender", "recipient", "text")
        wanted.append("(" + " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in columns) + ")")
        values += [mask] * len(columns)
    if before:
        wanted.append("id < ?")
        values.append(str(before))
    return state.rows(
        f"SELECT * FROM letters WHERE {' AND '.join(wanted)} ORDER BY id DESC LIMIT ?",  # noqa: S608
        *values,
        limit,
    )


def one(state: State, number: int) -> sqlite3.Row | None:
    rows = state.rows("SELECT * FROM letters WHERE id = ?", number)
    return rows[0] if rows else None


def wire(row: sqlite3.Row) -> dict[str, Any]:
    """A letter as outside checks read it."""
    return {
        "from": row["sender"],
        "to": row["recipient"],
        "subject": row["subject"],
        "text": row["text"],
        "html": row["html"],
        "headers": json.loads(row["headers"]),
        "at": instant(row["at"]),
    }


def instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
