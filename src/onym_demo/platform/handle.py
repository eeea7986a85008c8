"""Handles of Plaza: who holds which, and which the custodian keeps."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from onym_demo.platform.problem import Problem

_FORM: Final = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
LONGEST: Final = 15
CUSTODIAN: Final = 1000  # the account that holds what nobody holds just now


def canonical(name: str) -> str:
    """The form compared for equality; refused: handle_malformed."""
    if not _FORM.fullmatch(name):
        raise Problem(422, "handle_malformed", f"{name!r} is no handle here")
    return name.lower()


@dataclass(frozen=True, slots=True)
class Held:
    """One handle as it stands; `account_id` None is nobody, `leads_to` follows a retained one."""

    canonical: str
    display: str
    account_id: int | None
    leads_to: int | None
    fence: int


def find(db: sqlite3.Connection, name: str) -> Held:
    """A well-formed handle that nobody ever held is free, too."""
    key = canonical(name)
    row = db.execute(
        "SELECT canonical, display, account_id, leads_to, fence FROM handles WHERE canonical = ?",
        (key,),
    ).fetchone()
    return Held(*row) if row else Held(key, name, None, None, 0)


def told(held: Held) -> dict[str, Any]:
    """The contract's answer about one handle."""
    return {
        "handle": held.canonical,
        "account_id": None if held.account_id is None else str(held.account_id),
        "display": held.display,
        "fence": held.fence,
    }


def put(
    db: sqlite3.Connection,
    key: str,
    display: str,
    account_id: int | None,
    *,
    fence: int,
    leads_to: int | None = None,
) -> None:
    db.execute(
        "INSERT INTO handles (canonical, display, account_id, leads_to, fence) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (canonical) DO UPDATE SET display = excluded.display, "
        "account_id = excluded.account_id, leads_to = excluded.leads_to, fence = excluded.fence",
        (key, display, account_id, leads_to, fence),
    )


def reserve(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Give a handle that nobody holds to the custodian; it then leads to whoever moved on from it.

    Refused: 409 handle_held while an account holds it. The custodian's own is reserved already.
    """
    held = find(db, name)
    if held.account_id == CUSTODIAN:
        return told(held)
    if held.account_id is not None:
        raise Problem(409, "handle_held", account_id=str(held.account_id))
    mover = db.execute(
        "SELECT account_id, cause FROM renames WHERE lower(old) = ? ORDER BY id DESC LIMIT 1",
        (held.canonical,),
    ).fetchone()
    leads_to = mover["account_id"] if mover and mover["cause"] == "gained" else None
    put(db, held.canonical, held.display, CUSTODIAN, fence=held.fence, leads_to=leads_to)
    return told(find(db, name))


def unreserve(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Let nobody hold it; refused: 409 not_reserved unless the custodian does."""
    held = find(db, name)
    own = db.execute("SELECT handle FROM accounts WHERE id = ?", (CUSTODIAN,)).fetchone()
    if held.account_id != CUSTODIAN or own["handle"] == held.canonical:
        raise Problem(409, "not_reserved", f"the custodian does not hold @{held.canonical}")
    put(db, held.canonical, held.display, None, fence=held.fence)
    return told(find(db, name))


def written_as(db: sqlite3.Connection, found: sqlite3.Row, *, at: int) -> str:
    """The handle that the account bore at an instant."""
    row = db.execute(
        "SELECT old FROM renames WHERE account_id = ? AND at > ? ORDER BY id LIMIT 1",
        (found["id"], at),
    ).fetchone()
    return str(row["old"] if row else found["handle"])
