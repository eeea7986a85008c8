"""The first day of Plaza: the sample's accounts, once."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onym_demo import sample
from onym_demo.platform import account, handover
from onym_demo.platform.handle import CUSTODIAN


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the sample was made from; `began` in seconds since 1970."""

    seed: int
    began: int
    count: int


def beginning(db: sqlite3.Connection) -> Beginning | None:
    """None before the first day."""
    facts = {row["name"]: int(row["value"]) for row in db.execute("SELECT * FROM meta").fetchall()}
    return Beginning(**facts) if facts else None


def seed_sample(db: sqlite3.Connection, *, now: int, seed: int, count: int) -> None:
    """The custodian and the sample's accounts, once, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    start = datetime.fromtimestamp(now, UTC)
    account.insert(db, _custodian(start), "Plaza custody", now=now, seed=seed)
    for told_row, shown in sample.profiles(now=start, seed=seed, count=count):
        account.insert(db, told_row, shown, now=now, seed=seed)
        if told_row["email"] is not None:
            handover.furnish(db, int(told_row["account_id"]))
    facts = {"seed": seed, "began": now, "count": count}
    db.executemany(
        "INSERT INTO meta VALUES (?, ?)", [(name, str(value)) for name, value in facts.items()]
    )
    db.execute("COMMIT")


def _custodian(start: datetime) -> dict[str, Any]:
    empty = dict.fromkeys(sample.COLUMNS)
    return empty | {
        "account_id": str(CUSTODIAN),
        "handle": "plaza_custody",
        "created_at": start,
        "status": "active",
        "bio": "Holds handles that belong to nobody just now.",
    }
