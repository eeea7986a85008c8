"""The mailbox's memory: one sqlite file that survives kill -9.

A letter is kept once for each recipient; further copies, known by their Message-ID, are counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, sender TEXT NOT NULL,
    recipient TEXT NOT NULL COLLATE NOCASE, subject TEXT NOT NULL, text TEXT NOT NULL,
    html TEXT NOT NULL, headers TEXT NOT NULL, raw BLOB NOT NULL, at REAL NOT NULL,
    copies INTEGER NOT NULL DEFAULT 1);
CREATE INDEX IF NOT EXISTS letters_by_recipient ON letters (recipient, id);
CREATE UNIQUE INDEX IF NOT EXISTS letters_once ON letters (message_id, recipient)
    WHERE message_id <> '';
CREATE TABLE IF NOT EXISTS handovers (
    letter INTEGER PRIMARY KEY, body TEXT NOT NULL, due REAL NOT NULL, first REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS faults (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, recipient TEXT NOT NULL,
    times INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS greylist (
    sender TEXT NOT NULL, recipient TEXT NOT NULL, PRIMARY KEY (sender, recipient));
"""


class State:
    """Every write happens inside `transaction()`; what is committed is on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "mailbox.sqlite", isolation_level=None)
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

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.db.execute(sql, values).fetchall()

    def close(self) -> None:
        self.db.close()
