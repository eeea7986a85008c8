"""The provider's memory: one sqlite file that survives kill -9.

An effect, its events and the answer kept under the idempotency key are one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onym_demo.payments.wire import JSON

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    account TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, account, seq);
CREATE INDEX IF NOT EXISTS objects_by_group ON objects (kind, body ->> '$.transfer_group');
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (kind, body ->> '$.payment_intent');
CREATE INDEX IF NOT EXISTS open_sessions ON objects (body ->> '$.expires_at')
    WHERE kind = 'checkout.session' AND body ->> '$.status' = 'open';
CREATE TABLE IF NOT EXISTS postings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL, book TEXT NOT NULL,
    currency TEXT NOT NULL, minor INTEGER NOT NULL CHECK (minor <> 0), why TEXT NOT NULL,
    sale_id TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS postings_by_book ON postings (book, currency);
CREATE TRIGGER IF NOT EXISTS postings_stay BEFORE UPDATE ON postings
    BEGIN SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER IF NOT EXISTS postings_remain BEFORE DELETE ON postings
    BEGIN SELECT RAISE(ABORT, 'postings are never deleted'); END;
CREATE TABLE IF NOT EXISTS balances (
    book TEXT NOT NULL, currency TEXT NOT NULL, minor INTEGER NOT NULL,
    PRIMARY KEY (book, currency));
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL, account TEXT NOT NULL, route TEXT NOT NULL, digest TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (key, account));
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, due REAL NOT NULL,
    first REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, trick TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (done, due);
CREATE TABLE IF NOT EXISTS timers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, id TEXT NOT NULL,
    outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, kind TEXT NOT NULL,
    times INTEGER NOT NULL, seconds REAL NOT NULL, sale_id TEXT NOT NULL);
"""


class State:
    """Objects by id, newest last by `seq`; every write happens inside `transaction()`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "payments.sqlite", isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def put(self, body: JSON, *, account: str = "") -> JSON:
        """Keep an object under its `id`; `account` is the connected account it belongs to."""
        self.db.execute(
            "INSERT INTO objects (id, kind, account, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], body["object"], account, json.dumps(body)),
        )
        return body

    def find(self, kind: str, identity: str, *, account: str = "") -> JSON | None:
        row = self.db.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ? AND account = ?",
            (identity, kind, account),
        ).fetchone()
        return None if row is None else json.loads(row["body"])

    def any(self, identity: str) -> JSON | None:
        row = self.db.execute("SELECT body FROM objects WHERE id = ?", (identity,)).fetchone()
        return None if row is None else json.loads(row["body"])

    def select(
        self, kind: str, *, account: str = "", where: dict[str, str], limit: int = -1
    ) -> list[JSON]:
        """Newest first. `where` maps JSON paths such as `$.status` to the text they must equal."""
        wanted = " AND body ->> ? = ?" * len(where)
        rows = self.db.execute(
            f"SELECT body FROM objects WHERE kind = ? AND account = ?{wanted}"  # noqa: S608
            " ORDER BY seq DESC LIMIT ?",
            (kind, account, *(part for pair in where.items() for part in pair), limit),
        )
        return [json.loads(row["body"]) for row in rows]

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.db.execute(sql, values).fetchall()

    def close(self) -> None:
        self.db.close()
