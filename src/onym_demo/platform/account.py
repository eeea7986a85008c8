"""Accounts of Plaza: their rows in the contract's form, sign-up, return and hand-over."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from onym_demo import sample
from onym_demo.platform import handle as handles
from onym_demo.platform.handle import CUSTODIAN
from onym_demo.platform.problem import Problem
from onym_demo.platform.rhythm import Life, Rhythm, begin, life

LONGEST_PAGE: Final = 1000
LONGEST_LOOK: Final = 10_000  # accounts looked through for one page of what changed
_MOVING: Final = frozenset(
    {"account_id", "handle", "email", "last_login_at", "last_post_at", "posts"}
)
_COLUMNS: Final = (
    "id, handle, shown, email, fixed, status, login, post, posts, next_login, period, post_every"
)
_TOUCHED: Final = (
    "max(coalesce(handed_over_at, 0), coalesce((SELECT max(at) FROM renames "
    "WHERE account_id = accounts.id), 0)) AS touched"
)

# Once, for json.dumps would make an encoder at each call.
_text: Final = json.JSONEncoder(ensure_ascii=False).encode


def instant(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(account_id: object) -> int | None:
    """The id as the database keeps it; whatever is no decimal string names no account."""
    if isinstance(account_id, str) and account_id.isascii() and account_id.isdecimal():
        found = int(account_id[:18])
        if str(found) == account_id:
            return found
    return None


def find(db: sqlite3.Connection, account_id: object) -> sqlite3.Row | None:
    """`account_id` as the contract writes it."""
    return row(db, number(account_id))


def row(db: sqlite3.Connection, account_id: int | None) -> sqlite3.Row | None:
    """By the number the database keeps."""
    found: sqlite3.Row | None = db.execute(
        "SELECT * FROM accounts WHERE id = ?", (account_id,)
    ).fetchone()
    return found


def need(db: sqlite3.Connection, account_id: object, *, status: int = 422) -> sqlite3.Row:
    """The account, or account_unknown: 404 where the path names it, 422 where the body does."""
    found = find(db, account_id)
    if found is None:
        raise Problem(status, "account_unknown", f"no account {account_id!r}")
    return found


def living(found: sqlite3.Row, *, now: int) -> Life:
    return life(Rhythm(*(found[name] for name in Rhythm._fields)), now=now)


def told(found: sqlite3.Row, *, now: int) -> str:
    """One account as JSON text; `fixed` is kept in that form, without its closing brace."""
    seen = living(found, now=now)
    moving = {
        "account_id": str(found["id"]),
        "handle": found["handle"],
        "email": found["email"],
        "last_login_at": instant(seen.login),
        "last_post_at": instant(seen.post),
        "posts": seen.posts,
    }
    fixed: str = found["fixed"]
    return _text(moving)[:-1] + ", " + fixed[1:]


def page(
    db: sqlite3.Connection, *, after: int, limit: int, now: int, since: int | None = None
) -> tuple[Sequence[str], int | None]:
    """Up to `limit` accounts by id, as JSON text, and the last id if there may be more.

    With `since`, in seconds, only what changed then or later: such a page may be short or empty.
    """
    asked = limit if since is None else LONGEST_LOOK
    found = db.execute(
        f"SELECT {_COLUMNS}, {_TOUCHED} FROM accounts "  # noqa: S608 - constants of ours
        "WHERE id > ? AND id <> ? ORDER BY id LIMIT ?",
        (after, CUSTODIAN, asked),
    ).fetchall()
    news = [row for row in found if since is None or changed_at(row, now=now) >= since]
    chosen = news[:limit]
    more = len(news) > limit or len(found) == asked
    last = chosen[-1] if len(news) > limit else found[-1] if found else None
    return [told(row, now=now) for row in chosen], last["id"] if last and more else None


def changed_at(found: sqlite3.Row, *, now: int) -> int:
    """When the row last said something new: a sign of life, another handle, a new person."""
    seen = living(found, now=now)
    made = json.loads(found["fixed"])["created_at"]
    made_at = int(datetime.fromisoformat(made).timestamp()) if made else 0
    return max(at or 0 for at in (seen.login, seen.post, found["touched"], made_at))


def insert(
    db: sqlite3.Connection,
    told_row: Mapping[str, Any],
    shown: str,
    *,
    now: int,
    seed: int,
    fence: int = 0,
) -> None:
    """A row of the account table, alive from `now` on; its handle must be free."""
    account_id = int(told_row["account_id"])
    rhythm = begin(
        login=_seconds(told_row["last_login_at"]),
        post=_seconds(told_row["last_post_at"]),
        posts=told_row["posts"],
        active=told_row["status"] == "active",
        now=now,
        seed=seed * 1_000_003 + account_id,
    )
    fixed = {name: value for name, value in told_row.items() if name not in _MOVING}
    db.execute(
        f"INSERT INTO accounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            account_id,
            told_row["handle"],
            shown,
            told_row["email"],
            _text(sample.wire(fixed)),
            told_row["status"],
            *rhythm,
        ),
    )
    name = told_row["handle"]
    handles.put(db, handles.canonical(name), name, account_id, fence=fence)


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def sign_up(db: sqlite3.Connection, wish: Mapping[str, Any], *, now: int) -> dict[str, Any]:
    """A new account, active now, on a handle that nobody holds; columns as in the account table."""
    name = str(wish.get("handle", ""))
    held = handles.find(db, name)
    if held.account_id is not None:
        raise Problem(409, "handle_held", f"@{name} is taken")
    fresh = max(CUSTODIAN, db.execute("SELECT max(id) FROM accounts").fetchone()[0] or 0) + 1
    known = {column: value for column, value in wish.items() if column in sample.COLUMNS}
    usual = dict.fromkeys(sample.COLUMNS) | {"status": "active", "posts": 0}
    usual |= {"created_at": instant(now), "last_login_at": instant(now)}
    told_row = usual | known | {"account_id": str(fresh)}
    for column in (name for name in sample.COLUMNS if name.endswith("_at")):
        told_row[column] = _parsed(told_row[column])
    insert(db, told_row, str(wish.get("shown", name)), now=now, seed=0, fence=held.fence)
    return {"account_id": str(fresh), "handle": name}


def _parsed(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise Problem(422, "malformed", f"{text!r} is no instant") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def log_in(db: sqlite3.Connection, account_id: object, *, now: int) -> dict[str, Any]:
    """Somebody returns: the account logs in now and goes on living from here."""
    found = need(db, account_id)
    seen = living(found, now=now)
    rhythm = begin(
        login=now,
        post=seen.post,
        posts=seen.posts,
        active=found["status"] == "active",
        now=now,
        seed=found["id"],
    )
    db.execute(
        "UPDATE accounts SET login = ?, post = ?, posts = ?, next_login = ?, period = ?, "
        "post_every = ? WHERE id = ?",
        (*rhythm, found["id"]),
    )
    return {"account_id": str(found["id"]), "last_login_at": instant(now)}


def describe(db: sqlite3.Connection, wish: Mapping[str, Any]) -> dict[str, Any]:
    """The holder writes something else about themselves: `bio` of 500 characters at most."""
    found, bio = need(db, wish.get("account_id")), wish.get("bio")
    if not isinstance(bio, str) or len(bio) > 500:
        raise Problem(422, "malformed", "bio is a text of at most 500 characters")
    fixed = json.loads(found["fixed"]) | {"bio": bio}
    db.execute("UPDATE accounts SET fixed = ? WHERE id = ?", (_text(fixed), found["id"]))
    return {"account_id": str(found["id"]), "bio": bio}
