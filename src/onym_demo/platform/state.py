"""Plaza's own memory: one SQLite file, one thread that writes, commits shared by who waits.

An answer is given only after its write is on disk, so a killed process forgets nothing it told.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY,
    handle TEXT NOT NULL,
    shown TEXT NOT NULL,
    email TEXT,
    fixed TEXT NOT NULL,
    status TEXT,
    login INTEGER, post INTEGER, posts INTEGER,
    next_login INTEGER, period INTEGER, post_every INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    credentials INTEGER NOT NULL DEFAULT 1,
    handed_over_at INTEGER
);
CREATE TABLE IF NOT EXISTS handed_over (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    fence INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS handles (
    canonical TEXT PRIMARY KEY,
    display TEXT NOT NULL,
    account_id INTEGER REFERENCES accounts (id),
    leads_to INTEGER REFERENCES accounts (id),
    fence INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS handles_of_account ON handles (account_id);
CREATE TABLE IF NOT EXISTS renames (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('gained', 'lost')),
    at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS renames_of_account ON renames (account_id, at);
CREATE INDEX IF NOT EXISTS renames_from ON renames (old, at);
CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL, text TEXT NOT NULL, href TEXT,
    at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notices_of_account ON notices (account_id, id);
CREATE TABLE IF NOT EXISTS belongings (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('messages', 'contacts', 'sessions')),
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS belongings_of_account ON belongings (account_id, kind);
CREATE TABLE IF NOT EXISTS keyed (
    id INTEGER PRIMARY KEY,
    canonical TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS keyed_by_handle ON keyed (canonical, kind);
CREATE TABLE IF NOT EXISTS answers (
    key_id TEXT NOT NULL, key TEXT NOT NULL,
    payload BLOB NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (key_id, key)
) WITHOUT ROWID;
"""

Work = Callable[[sqlite3.Connection], Any]
_LARGEST_BATCH = 256


def connect(file: Path) -> sqlite3.Connection:
    """A connection with durable commits; transactions are begun and ended by hand."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


class Writer:
    """Runs every write, in the order asked, in its own thread; whoever waits shares a commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def do(self, work: Work) -> Any:
        """The result of `work`, once it is on disk; what it raises undoes it alone."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < _LARGEST_BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            self._serve(batch)

    def _serve(self, batch: list[tuple[Work, asyncio.Future[Any]]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [self._one(work) for work, _ in batch]
            self._connection.execute("COMMIT")
        except sqlite3.Error as fault:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            results = [(None, fault)] * len(batch)
        loop = batch[0][1].get_loop()
        loop.call_soon_threadsafe(_deliver, batch, results)

    def _one(self, work: Work) -> tuple[Any, Exception | None]:
        self._connection.execute("SAVEPOINT one")
        try:
            result = work(self._connection)
        except Exception as fault:
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            return None, fault
        self._connection.execute("RELEASE one")
        return result, None


def _deliver(
    batch: list[tuple[Work, asyncio.Future[Any]]], results: list[tuple[Any, Exception | None]]
) -> None:
    for (_, future), (result, fault) in zip(batch, results, strict=True):
        if future.done():
            continue  # the caller is gone; the write stands
        if fault is None:
            future.set_result(result)
        else:
            future.set_exception(fault)
