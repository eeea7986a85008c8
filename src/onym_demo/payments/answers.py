"""Idempotency as Stripe does it: the first answer under a key is every later answer.

A key is scoped to the account acted for, is forgotten after 24 hours, refuses another payload,
and refuses a twin while the first is under way.
"""

from __future__ import annotations

import hashlib
import json

from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import Answer, WireError

REMEMBERED = 86_400.0


def digest(call: Call) -> str:
    return hashlib.sha256(json.dumps(call.params, sort_keys=True).encode()).hexdigest()


def find(provider: Provider, *, key: str, path: str, call: Call) -> Answer | None:
    """The answer given before under this key; another request under it is refused."""
    horizon = provider.clock.machine() - REMEMBERED
    rows = provider.state.rows(
        "SELECT * FROM answers WHERE key = ? AND account = ? AND at > ?",
        key,
        call.account,
        horizon,
    )
    if not rows:
        return None
    if rows[0]["route"] != path or rows[0]["digest"] != digest(call):
        raise WireError(
            "Keys for idempotent requests can only be used with the same parameters they were"
            " first used with.",
            kind="idempotency_error",
            kept=False,
        )
    return Answer(rows[0]["status"], json.loads(rows[0]["body"]))


def keep(provider: Provider, *, key: str, path: str, call: Call, answer: Answer) -> None:
    provider.state.db.execute(
        "INSERT OR REPLACE INTO answers (key, account, route, digest, status, body, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            call.account,
            path,
            digest(call),
            answer.status,
            json.dumps(answer.body),
            provider.clock.machine(),
        ),
    )


def in_use(key: str) -> WireError:
    return WireError(
        f"There is currently another in-progress request using this Idempotency-Key: {key}",
        status=409,
        kind="idempotency_error",
        code="idempotency_key_in_use",
        kept=False,
    )


def forget(provider: Provider) -> None:
    """As if 24 hours had passed for every key."""
    provider.state.db.execute("DELETE FROM answers")
