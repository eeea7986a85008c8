"""A forum or a game whose database Onym may write to: a read view and a compare-and-set statement.

For PostgreSQL, through psycopg. docs/guides/platform-sql.md tells what the operator writes down.
"""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from onym.core import names
from onym.core.errors import HandleMalformed, Malformed, PlatformUnavailable
from onym.ports.account import HandedOver
from onym.ports.platform import (
    COLUMNS,
    INSTANTS,
    AccountRow,
    Answer,
    Capabilities,
    Holding,
    Notice,
    Outcome,
    Page,
)

TABLES: Final = """\
CREATE SCHEMA IF NOT EXISTS onym;
CREATE TABLE IF NOT EXISTS onym.handles (
    handle text PRIMARY KEY,
    fence bigint NOT NULL DEFAULT 0,
    reserved boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS onym.answers (
    key text PRIMARY KEY,
    digest text NOT NULL,
    answer text NOT NULL,
    code text NOT NULL,
    facts jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
"""
"""What Onym keeps beside the platform's own tables, in the same database."""

_PAGE: Final = 1000
_PARALLEL: Final = 8
_MOST_PLACEHOLDERS: Final = 50
_RENAME: Final = ("%(account_id)s", "%(old)s", "%(new)s")
_NOTICE: Final = ("%(account_id)s", "%(text)s")
Db = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """The operator's file. `custodian` is a name for what is kept for nobody, no account of theirs;
    without it nothing is reserved. `changed` is the view's column that says when a row changed."""

    dsn: str
    profile: str
    view: str
    rename: str
    custodian: str | None = None
    changed: str | None = None
    notice: str | None = None


def read_mapping(file: Path) -> Mapped:
    """The mapping in a TOML file. Refuses `malformed`, and says what is wrong with it."""
    try:
        told = tomllib.loads(file.read_text())
        mapped = Mapped(**told)
    except (OSError, tomllib.TOMLDecodeError, TypeError) as trouble:
        raise Malformed(f"{file}: {trouble}") from trouble
    if not all(isinstance(value, str) for value in told.values()):
        raise Malformed(f"{file}: every value is a text")
    names.profile(mapped.profile)
    for statement, needed in ((mapped.rename, _RENAME), (mapped.notice or "", _NOTICE)):
        missing = [name for name in needed if statement and name not in statement]
        if missing or not mapped.rename.strip():
            raise Malformed(f"{file}: a statement does not use {', '.join(missing)}")
    return mapped


class _Refused(Exception):
    def __init__(self, code: str, /, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


class _Crossed(Exception):
    """Somebody else changed what was just read: undone, and to be asked again."""


class Sql:
    """`Platform` over a mapped database; every write is one transaction with its answer.

    `timeout` in seconds holds for the connection and for each statement.
    """

    def __init__(self, mapped: Mapped, *, timeout: float = 10.0) -> None:
        self._mapped, self._timeout = mapped, timeout
        self._view = sql.Identifier(*mapped.view.split("."))
        self._turns = threading.BoundedSemaphore(_PARALLEL)

    def capabilities(self) -> Capabilities:
        """What it can do; asks whether the database is there and has the view."""
        with self._reading() as db:
            described = db.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._view))
            columns = [column.name for column in described.description or ()]
        keeps = self._mapped.custodian is not None
        return Capabilities(
            profile=self._mapped.profile,
            custodian=self._mapped.custodian,
            atomic_move=True,
            reserve=keeps,
            retain=keeps,
            hand_over=False,
            notices=self._mapped.notice is not None,
            notice_batch=0,
            signals=tuple(name for name in columns if name in COLUMNS[2:]),
            since=self._mapped.changed is not None,
        )

    def accounts(self, *, cursor: str | None = None) -> tuple[Sequence[AccountRow], str | None]:
        """A thousand accounts by id, and the last id if there may be more."""
        found = self.page(cursor=cursor)
        return found.rows, found.next

    def page(self, *, cursor: str | None = None, since: datetime | None = None) -> Page:
        """The same with the database's instant; with `since` only what changed since then."""
        query = sql.SQL(
            'SELECT * FROM {view} WHERE account_id COLLATE "C" > %s {changed} '
            'ORDER BY account_id COLLATE "C" LIMIT %s'
        ).format(view=self._view, changed=self._changed(since))
        asked = [cursor or "", *([since] if since is not None else []), _PAGE]
        with self._reading() as db:
            as_of = _one(db, "SELECT now() AS at")["at"]
            rows = [_row(found) for found in db.execute(query, asked).fetchall()]
        return Page(rows, rows[-1]["account_id"] if len(rows) == _PAGE else None, as_of)

    def _changed(self, since: datetime | None) -> sql.Composable:
        if since is None or self._mapped.changed is None:
            return sql.SQL("")
        return sql.SQL("AND {} >= %s").format(sql.Identifier(self._mapped.changed))

    def account(self, *, account_id: str) -> AccountRow | None:
        """The account now, or None."""
        with self._reading() as db:
            return self._account(db, account_id)

    def holder(self, *, handle: str) -> Holding:
        """The read-back. Refused: HandleMalformed."""
        label = names.canon(handle, self._mapped.profile)
        with self._reading() as db:
            return Holding(handle, self._holder(db, label))

    # ---- writes

    def move(
        self,
        *,
        handle: str,
        source: str | None,
        to: str | None,
        placeholder: str | None,
        expected_holder: str | None,
        fence: int,
        key: str,
        retain: bool = False,
    ) -> Outcome:
        """Fence, holder, both renames and the answer in one transaction; see `Platform`."""
        wish = {
            "handle": handle,
            "from": source,
            "to": to,
            "placeholder": placeholder,
            "expected_holder": expected_holder,
            "fence": fence,
            "retain": retain,
        }
        return self._once(key, wish, lambda db: self._move(db, wish))

    def reserve(self, *, handle: str, key: str) -> Outcome:
        """Keep a handle that nobody holds for the custodian; refused while an account holds it."""
        return self._once(key, {"reserve": handle}, lambda db: self._reserve(db, handle))

    def unreserve(self, *, handle: str, key: str) -> Outcome:
        """Let the custodian give a handle up."""
        return self._once(key, {"unreserve": handle}, lambda db: self._unreserve(db, handle))

    def hand_over(
        self,
        *,
        account_id: str,
        email: str | None,
        fence: int,
        key: str,
        wipe: Sequence[str] = (),
        handle: str | None = None,
        last: int | None = None,
    ) -> Outcome:
        """Refused: whoever may write to the table of handles may not read or end credentials."""
        del account_id, email, fence, key, wipe, handle, last
        return Outcome(Answer.REFUSED, "not_supported", "whole accounts stay where they are")

    def handed_over(self, *, account_id: str) -> HandedOver:
        """No account ever was."""
        del account_id
        return HandedOver(0, None)

    def notify(
        self, *, account_id: str, kind: str, text: str, href: str | None, key: str
    ) -> Outcome:
        """Write a message to the account by the operator's statement, once a key."""
        wish = {"account_id": account_id, "kind": kind, "text": text, "href": href}
        return self._once(key, wish, lambda db: self._notify(db, wish))

    def notify_all(self, *, notices: Sequence[Notice]) -> Sequence[Outcome]:
        """One after the other."""
        return [
            self.notify(
                account_id=one.account_id, kind=one.kind, text=one.text, href=one.href, key=one.key
            )
            for one in notices
        ]

    def _once(self, key: str, wish: Mapping[str, Any], act: Callable[[Db], Any]) -> Outcome:
        """`act` and its answer in one transaction, or the answer that this key had before."""
        digest = sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
        try:
            with self._connection() as db:
                return _kept(db, key, digest, act)
        except (_Crossed, psycopg.errors.UniqueViolation) as crossed:
            return Outcome(Answer.UNKNOWN, "in_progress", str(crossed))
        except (psycopg.Error, OSError, PlatformUnavailable) as trouble:
            return Outcome(Answer.UNKNOWN, "no_answer", str(trouble))

    def _move(self, db: Db, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        label, expected, to = self._label(wish["handle"]), wish["expected_holder"], wish["to"]
        if to is None and expected is not None:
            raise _Refused("malformed")
        _raise_fence(db, label, wish["fence"])
        holder, given = self._holder(db, label), None
        if holder != expected:
            raise _Refused("stale", code="wrong_holder", account_id=holder)
        if to != holder:
            taker = None if to == self._mapped.custodian else self._taker(db, to)
            if holder not in (None, self._mapped.custodian):
                given = self._displace(db, label, wish)
            self._give(db, label, taker, retain=wish["retain"])
        return {"handle": label, "account_id": to, "placeholder": given, "fence": wish["fence"]}

    def _taker(self, db: Db, account_id: str) -> AccountRow:
        found = self._account(db, account_id)
        if found is None:
            raise _Refused("account_unknown")
        if (found.get("status") or "active") != "active":
            raise _Refused("account_unavailable")
        return found

    def _displace(self, db: Db, label: str, wish: Mapping[str, Any]) -> str:
        """Rename the holder to the placeholder wished for, or the next free one."""
        if wish["from"] != wish["expected_holder"]:
            raise _Refused("malformed", detail="from must be the account that holds the handle")
        profile, account_id = self._mapped.profile, wish["from"]
        wished = self._label(wish["placeholder"]) if wish["placeholder"] else None
        for attempt in range(_MOST_PLACEHOLDERS):
            fresh = wished or names.placeholder(profile, account_id, attempt=attempt)
            wished = None
            if self._holder(db, fresh) is None:
                self._rename(db, account_id, label, fresh)
                return fresh
        raise _Crossed("no placeholder is free")

    def _give(self, db: Db, label: str, taker: AccountRow | None, *, retain: bool) -> None:
        _set_reserved(db, label, reserved=taker is None)
        if taker is None:
            return
        # As the database folds it: an account may go by a name that is no handle here.
        old = str(_one(db, "SELECT lower(%s) AS name", [taker["handle"]])["name"])
        self._rename(db, taker["account_id"], old, label)
        profile = self._mapped.profile
        if retain and self._mapped.custodian is not None and names.is_handle(old, profile):
            _set_reserved(db, names.canon(old, profile), reserved=True)

    def _rename(self, db: Db, account_id: str, old: str, new: str) -> None:
        """The operator's compare-and-set: exactly one row, or somebody came between."""
        named = {"account_id": account_id, "old": old, "new": new}
        changed = db.execute(cast(Any, self._mapped.rename), named).rowcount
        if changed != 1:
            raise _Crossed(f"the statement changed {changed} rows")

    def _reserve(self, db: Db, handle: str) -> Mapping[str, Any]:
        label = self._label(handle)
        holder = self._holder(db, label)
        if self._mapped.custodian is None:
            raise _Refused("not_supported")
        if holder not in (None, self._mapped.custodian):
            raise _Refused("handle_held", account_id=holder)
        _set_reserved(db, label, reserved=True)
        return {"handle": label, "account_id": self._mapped.custodian}

    def _unreserve(self, db: Db, handle: str) -> Mapping[str, Any]:
        label = self._label(handle)
        if self._mapped.custodian is None or self._holder(db, label) != self._mapped.custodian:
            raise _Refused("not_reserved")
        _set_reserved(db, label, reserved=False)
        return {"handle": label, "account_id": None}

    def _notify(self, db: Db, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._mapped.notice is None:
            raise _Refused("not_supported")
        if self._account(db, wish["account_id"]) is None:
            raise _Refused("account_unknown")
        db.execute(cast(Any, self._mapped.notice), wish)
        return {"account_id": wish["account_id"]}

    # ---- looking

    def _label(self, handle: str) -> str:
        try:
            return names.canon(handle, self._mapped.profile)
        except HandleMalformed as refusal:
            raise _Refused(refusal.code, detail=refusal.detail) from refusal

    def _account(self, db: Db, account_id: str) -> AccountRow | None:
        query = sql.SQL("SELECT * FROM {} WHERE account_id = %s").format(self._view)
        found = db.execute(query, [account_id]).fetchone()
        return None if found is None else _row(found)

    def _holder(self, db: Db, label: str) -> str | None:
        """An account, the custodian for what is reserved, or nobody; two accounts are no answer."""
        query = sql.SQL("SELECT account_id FROM {} WHERE lower(handle) = %s LIMIT 2")
        found = db.execute(query.format(self._view), [label]).fetchall()
        if len(found) > 1:
            raise PlatformUnavailable(f"the view gives {label} to more than one account")
        if found:
            return str(found[0]["account_id"])
        kept = db.execute("SELECT FROM onym.handles WHERE handle = %s AND reserved", [label])
        return self._mapped.custodian if kept.fetchone() is not None else None

    @contextmanager
    def _reading(self) -> Iterator[Db]:
        try:
            with self._connection() as db:
                yield db
        except (psycopg.Error, OSError) as trouble:
            raise PlatformUnavailable(f"the database does not answer: {trouble}") from trouble

    @contextmanager
    def _connection(self) -> Iterator[Db]:
        """A connection whose transaction ends with the block, at most eight at a time."""
        if not self._turns.acquire(timeout=self._timeout):
            raise OSError("too many questions at a time")
        limit = f"-c statement_timeout={int(self._timeout * 1000)}"
        try:
            with psycopg.connect(
                self._mapped.dsn,
                row_factory=dict_row,
                connect_timeout=max(2, int(self._timeout)),
                options=limit,
            ) as db:
                yield db
        finally:
            self._turns.release()


def _kept(db: Db, key: str, digest: str, act: Callable[[Db], Any]) -> Outcome:
    """Twins wait for each other; a refusal undoes what came before it, and is kept."""
    db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    known = db.execute("SELECT * FROM onym.answers WHERE key = %s", [key]).fetchone()
    if known is not None and known["digest"] != digest:
        return Outcome(Answer.REFUSED, "idempotency_mismatch")
    if known is not None:
        return Outcome(Answer(known["answer"]), known["code"], facts=known["facts"])
    try:
        with db.transaction():
            made = Outcome(Answer.DONE, facts=act(db))
    except _Refused as no:
        made = Outcome(Answer.REFUSED, no.code, facts=no.facts)
    row = [key, digest, made.answer.value, made.code, json.dumps(dict(made.facts))]
    db.execute("INSERT INTO onym.answers VALUES (%s, %s, %s, %s, %s)", row)
    return made


def _raise_fence(db: Db, label: str, fence: int) -> None:
    """One statement, which holds the handle's row to the end: orders wait for each other."""
    if fence < 1:
        raise _Refused("malformed")
    raised = db.execute(
        "INSERT INTO onym.handles AS h (handle, fence) VALUES (%s, %s) ON CONFLICT (handle) "
        "DO UPDATE SET fence = excluded.fence WHERE h.fence < excluded.fence RETURNING fence",
        [label, fence],
    )
    if raised.fetchone() is None:
        raise _Refused("stale", code="stale_fence")


def _set_reserved(db: Db, label: str, *, reserved: bool) -> None:
    db.execute(
        "INSERT INTO onym.handles (handle, reserved) VALUES (%s, %s) "
        "ON CONFLICT (handle) DO UPDATE SET reserved = excluded.reserved",
        [label, reserved],
    )


def _one(db: Db, query: str, values: Sequence[Any] = ()) -> dict[str, Any]:
    found = db.execute(cast(Any, query), values).fetchone()
    if found is None:
        raise OSError("no row came back")
    return found


def _row(found: Mapping[str, Any]) -> AccountRow:
    """The known columns; an id that is no text or an instant without a zone is no answer."""
    row = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    if not isinstance(row.get("account_id"), str) or not isinstance(row.get("handle"), str):
        raise PlatformUnavailable("the view's account_id and handle are texts")
    for name in INSTANTS:
        if name in row and (not isinstance(row[name], datetime) or row[name].tzinfo is None):
            raise PlatformUnavailable(f"the view's {name} has no time zone")
    return cast(AccountRow, row)
