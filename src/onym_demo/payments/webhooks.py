"""Webhooks: each event is posted, signed in Stripe's scheme, until the receiver says 2xx.

A delivery survives a restart. Order and number of arrivals are promised to nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import sqlite3
from urllib.parse import urlsplit

from onym_demo.payments.provider import Provider

TICK = 0.05
AT_ONCE = 4
TIMEOUT = 10.0
LONGEST_WAIT = 30.0
GIVE_UP_AFTER = 3 * 86_400.0


def signature(*, payload: bytes, secrets: tuple[str, ...], at: int) -> str:
    """`t=…,v1=…` with one v1 a secret: HMAC-SHA256 over "t.payload" (Stripe's webhook docs)."""
    signed = str(at).encode() + b"." + payload
    marks = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]
    return ",".join([f"t={at}", *(f"v1={mark}" for mark in marks)])


def wait_before(attempt: int) -> float:
    """Seconds to wait after a failed attempt, doubling from half a second."""
    return min(0.5 * 2.0**attempt, LONGEST_WAIT)


def due(provider: Provider) -> list[sqlite3.Row]:
    return provider.state.rows(
        "SELECT * FROM deliveries WHERE done = 0 AND due <= ? ORDER BY due, seq LIMIT ?",
        provider.clock.machine(),
        AT_ONCE,
    )


def pending(provider: Provider) -> int:
    row = provider.state.rows("SELECT COUNT(*) AS n FROM deliveries WHERE done = 0")[0]
    return int(row["n"])


def send_again(provider: Provider, event_id: str, times: int) -> None:
    """Queue further copies of an event, as an impatient operator would."""
    now = provider.clock.machine()
    for _ in range(times):
        provider.state.db.execute(
            "INSERT INTO deliveries (event, due, first) VALUES (?, ?, ?)", (event_id, now, now)
        )


async def run(provider: Provider) -> None:
    while True:
        rows = due(provider)
        if rows:
            await asyncio.gather(*(_deliver(provider, row) for row in rows))
        else:
            await asyncio.sleep(TICK)


async def _deliver(provider: Provider, row: sqlite3.Row) -> None:
    event = provider.state.any(row["event"]) or {}
    payload = json.dumps(event).encode()
    header = _header(provider, row, payload)
    note = await asyncio.to_thread(post, provider.options.webhook_url, payload, header)
    now = provider.clock.machine()
    late = now - row["first"] > GIVE_UP_AFTER
    with provider.state.transaction():
        provider.state.db.execute(
            "UPDATE deliveries SET attempts = attempts + 1, trick = '', note = ?, done = ?,"
            " due = ? WHERE seq = ?",
            (
                note,
                int(note == "" or late),
                now + wait_before(row["attempts"]),
                row["seq"],
            ),
        )


def _header(provider: Provider, row: sqlite3.Row, payload: bytes) -> str:
    """The signature; the first attempt of a spoilt delivery carries a wrong or an old one."""
    secrets, at = provider.options.webhook_secrets, int(provider.clock.machine())
    if row["trick"] == "wrong_signature":
        secrets = ("whsec_of_somebody_else",)
    if row["trick"] == "stale_signature":
        at -= int(row["seconds"]) or 3 * 86_400
    return signature(payload=payload, secrets=secrets, at=at)


def post(url: str, payload: bytes, header: str) -> str:
    """Post once; empty text when the receiver answered 2xx, else what went wrong."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        line.request("POST", target or "/", body=payload, headers=headers)
        status = line.getresponse().status
        return "" if 200 <= status < 300 else f"answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        line.close()
