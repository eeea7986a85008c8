"""What Plaza and its neighbours key by a handle's text: it ends when the handle changes hands."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from onym_demo.platform import handle
from onym_demo.platform.problem import Problem

KINDS: Final = ("sessions", "tokens", "mail-aliases", "webhooks")


def keep(db: sqlite3.Connection, wish: Mapping[str, Any]) -> dict[str, Any]:
    """Something new that is keyed by the text of `handle`; `kind` is one of KINDS."""
    kind, text = _kind(wish.get("kind")), str(wish.get("text", ""))[:200]
    held = handle.find(db, str(wish.get("handle", "")))
    db.execute(
        "INSERT INTO keyed (canonical, kind, text) VALUES (?, ?, ?)", (held.canonical, kind, text)
    )
    return told(db, held.canonical)


def told(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    """What there is, by kind."""
    held = handle.find(db, name)
    found: dict[str, Any] = {kind: [] for kind in KINDS}
    rows: Sequence[sqlite3.Row] = db.execute(
        "SELECT kind, text FROM keyed WHERE canonical = ? ORDER BY id", (held.canonical,)
    ).fetchall()
    for row in rows:
        found[row["kind"]].append(row["text"])
    return {"handle": held.canonical, **found}


def end(db: sqlite3.Connection, kind: object, wish: Mapping[str, Any]) -> dict[str, Any]:
    """The hook: nothing of this kind is left under the handle. Refused: 404 for another kind."""
    held = handle.find(db, str(wish.get("handle", "")))
    done = db.execute(
        "DELETE FROM keyed WHERE canonical = ? AND kind = ?", (held.canonical, _kind(kind))
    )
    return {"handle": held.canonical, "kind": kind, "ended": done.rowcount}


def _kind(kind: object) -> str:
    if kind not in KINDS:
        raise Problem(404, "not_found", f"kinds are {', '.join(KINDS)}")
    return str(kind)
