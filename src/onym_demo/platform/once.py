"""One write per idempotency key, for ever: a retry gets the first answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from starlette.requests import Request

from onym_demo.platform.problem import Problem

Act = Callable[[sqlite3.Connection], Mapping[str, Any]]
Answer = tuple[int, str]  # status and JSON text


def once(
    request: Request, *, key_id: str, body: bytes, status: int, act: Act
) -> Callable[[sqlite3.Connection], Answer]:
    """`act` for the writer: done once, its first answer kept, a refusal too.

    Refused: 400 idempotency_key_missing, 409 idempotency_mismatch.
    """
    key = need_key(request.headers.get("idempotency-key"))
    payload = f"{request.method} {request.url.path}\n".encode() + body
    return lambda db: kept(db, (key_id, key), payload, status, act)


def need_key(key: object) -> str:
    """Refused: 400 idempotency_key_missing, where it is none of 1 to 255 characters."""
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        raise Problem(400, "idempotency_key_missing")
    return key


def kept(
    db: sqlite3.Connection, key: tuple[str, str], payload: bytes, status: int, act: Act
) -> Answer:
    """The answer kept under key id and key, or that of `act`, kept from now on."""
    digest = sha256(payload).digest()
    first = db.execute(
        "SELECT payload, status, body FROM answers WHERE key_id = ? AND key = ?", key
    ).fetchone()
    if first is not None and first["payload"] != digest:
        raise Problem(409, "idempotency_mismatch")
    if first is not None:
        return first["status"], first["body"]
    answer = _acted(db, status, act)
    db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", (*key, digest, *answer))
    return answer


def _acted(db: sqlite3.Connection, status: int, act: Act) -> Answer:
    """What `act` answers; a refusal comes before its first write, so nothing need be undone."""
    try:
        return status, json.dumps(act(db), ensure_ascii=False)
    except Problem as refusal:
        return refusal.status, refusal.json()
