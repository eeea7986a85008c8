"""A handle changes hands in one step that no late write can overtake."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onym_demo.platform import account, handle
from onym_demo.platform.handle import CUSTODIAN, Held
from onym_demo.platform.problem import Problem


@dataclass(frozen=True, slots=True)
class Move:
    """What a move asks for, checked for form."""

    source: str | None
    to: str | None
    placeholder: str | None
    expected_holder: str | None
    fence: int
    retain: bool


def read_move(wish: Mapping[str, Any]) -> Move:
    """Refused as malformed: a missing name, a fence that is no positive number.

    `to` is null only together with `expected_holder`: nobody holds the handle, and nobody gets it.
    """
    names = [wish.get(name) for name in ("from", "to", "placeholder", "expected_holder")]
    fence, retain = wish.get("fence"), wish.get("retain", False)
    if not all(isinstance(name, str | None) for name in names) or "to" not in wish:
        raise Problem(422, "malformed", "from, to, placeholder, expected_holder are strings")
    if names[1] is None and names[3] is not None:
        raise Problem(422, "malformed", "to is null only where nobody holds the handle")
    if not isinstance(fence, int) or isinstance(fence, bool) or not 0 < fence < 2**63:
        raise Problem(422, "malformed", "fence is a positive whole number")
    source, to, placeholder, expected = names
    return Move(source, to, placeholder, expected, fence, retain is True)


def move(db: sqlite3.Connection, name: str, wish: Mapping[str, Any], *, now: int) -> dict[str, Any]:
    """Check the fence, the holder and both accounts; rename `from`, free or keep the old handle
    of `to`, and give it this one; all in the caller's transaction.

    Refused: 412 stale_fence, 412 wrong_holder, 422 account_unknown or account_unavailable,
    422 malformed or handle_malformed.
    """
    asked, held = read_move(wish), handle.find(db, name)
    _check_turn(held, asked)
    to = None if asked.to is None else account.need(db, asked.to)
    placeholder = None
    if to is not None and held.account_id != to["id"]:
        if to["status"] != "active":
            raise Problem(422, "account_unavailable", f"account {asked.to} is {to['status']}")
        placeholder = _displace(db, held, asked, now=now)
        _settle(db, held, to, asked, now=now)
        held = dataclasses.replace(held, account_id=to["id"], leads_to=None)
    handle.put(
        db, held.canonical, held.display, held.account_id, fence=asked.fence, leads_to=held.leads_to
    )
    return {
        "handle": held.canonical,
        "account_id": asked.to,
        "placeholder": placeholder,
        "fence": asked.fence,
        "at": account.instant(now),
    }


def _check_turn(held: Held, asked: Move) -> None:
    holder = None if held.account_id is None else str(held.account_id)
    if asked.fence <= held.fence:
        raise Problem(412, "stale_fence", fence=held.fence)
    if holder != asked.expected_holder:
        raise Problem(412, "wrong_holder", account_id=holder)
    if holder not in (None, str(CUSTODIAN), asked.source):
        raise Problem(422, "malformed", "from must be the account that holds the handle")


def _displace(db: sqlite3.Connection, held: Held, asked: Move, *, now: int) -> str | None:
    """Rename the account that loses the handle; the custodian, who holds many, keeps its name."""
    if held.account_id in (None, CUSTODIAN):
        return None
    wished = handle.canonical(asked.placeholder or f"user_{held.account_id}")
    fresh = _next_free(db, wished)
    handle.put(db, fresh, fresh, held.account_id, fence=handle.find(db, fresh).fence)
    _rename(db, held.account_id, held.display, fresh, "lost", now=now)
    return fresh


def _next_free(db: sqlite3.Connection, wished: str) -> str:
    """`wished`, or the first of wished_2, wished_3, … that nobody holds."""
    fresh, turn = wished, 1
    while handle.find(db, fresh).account_id is not None:
        turn += 1
        ending = f"_{turn}"
        fresh = wished[: handle.LONGEST - len(ending)] + ending
    return fresh


def _settle(db: sqlite3.Connection, held: Held, to: sqlite3.Row, asked: Move, *, now: int) -> None:
    """Let `to` give up its old handle, to the custodian if it shall lead to the new one."""
    if to["id"] == CUSTODIAN:
        return
    old = handle.find(db, to["handle"])
    keeper = CUSTODIAN if asked.retain else None
    leads_to = to["id"] if asked.retain else None
    handle.put(db, old.canonical, old.display, keeper, fence=old.fence, leads_to=leads_to)
    _rename(db, to["id"], to["handle"], held.display, "gained", now=now)


def _rename(
    db: sqlite3.Connection, account_id: int | None, old: str, new: str, cause: str, *, now: int
) -> None:
    db.execute("UPDATE accounts SET handle = ? WHERE id = ?", (new, account_id))
    db.execute(
        "INSERT INTO renames (account_id, old, new, cause, at) VALUES (?, ?, ?, ?, ?)",
        (account_id, old, new, cause, now),
    )
