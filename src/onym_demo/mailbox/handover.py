"""Mail for the market's own addresses is posted to it, signed, until it answers 2xx.

`Onym-Signature: t=<unix seconds>,v1=<hex>`, v1 = HMAC-SHA256 over "t.body"; docs/guides/mail.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import sqlite3
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from onym_demo.mailbox import parse
from onym_demo.mailbox.state import State

TICK = 0.05
TIMEOUT = 10.0
LONGEST_WAIT = 30.0
GIVE_UP_AFTER = 3 * 86_400.0
LONGEST_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Market:
    """Where the market takes mail, the key it knows us by, and its own addresses."""

    url: str = ""
    key: str = ""
    own: tuple[str, ...] = ()


def is_own(recipient: str, own: tuple[str, ...]) -> bool:
    """`own` holds addresses, or `@domain` for all of one; `press+note@` counts as `press@`."""
    local, _, domain = recipient.lower().rpartition("@")
    plain = local.partition("+")[0]
    return any(address.lower() in (f"{plain}@{domain}", f"@{domain}") for address in own)


def queue(state: State, number: int, letter: parse.Parsed, to: str, now: float) -> None:
    body = {
        "from": letter.sender,
        "to": to,
        "subject": letter.subject,
        "text": letter.text[:LONGEST_TEXT],
        "message_id": letter.message_id,
        "in_reply_to": letter.in_reply_to,
        "auto_submitted": letter.auto_submitted,
    }
    state.db.execute(
        "INSERT INTO handovers (letter, body, due, first) VALUES (?, ?, ?, ?)",
        (number, json.dumps(body), now, now),
    )


def pending(state: State) -> int:
    return int(state.rows("SELECT COUNT(*) AS n FROM handovers WHERE done = 0")[0]["n"])


def signature(*, key: str, payload: bytes, at: int) -> str:
    mark = hmac.new(key.encode(), f"{at}.".encode() + payload, hashlib.sha256)
    return f"t={at},v1={mark.hexdigest()}"


async def run(state: State, market: Market) -> None:
    """Hand over in order of arrival; one that fails waits longer each time and blocks no other."""
    while market.url:
        rows = state.rows(
            "SELECT * FROM handovers WHERE done = 0 AND due <= ? ORDER BY due LIMIT 4", time.time()
        )
        if rows:
            await asyncio.gather(*(_hand_over(state, market, row) for row in rows))
        else:
            await asyncio.sleep(TICK)
    await asyncio.Event().wait()


async def _hand_over(state: State, market: Market, row: sqlite3.Row) -> None:
    payload = row["body"].encode()
    header = signature(key=market.key, payload=payload, at=int(time.time()))
    note = await asyncio.to_thread(post, market.url, payload, header)
    now = time.time()
    done = note == "" or now - row["first"] > GIVE_UP_AFTER
    wait = min(0.5 * 2.0 ** row["attempts"], LONGEST_WAIT)
    with state.transaction():
        state.db.execute(
            "UPDATE handovers SET attempts = attempts + 1, note = ?, done = ?, due = ?"
            " WHERE letter = ?",
            (note, int(done), now + wait, row["letter"]),
        )


def post(url: str, payload: bytes, header: str) -> str:
    """Post once; empty text when the market answered 2xx, else what went wrong."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json", "Onym-Signature": header}
    try:
        line.request("POST", parts.path or "/", body=payload, headers=headers)
        status = line.getresponse().status
        return "" if 200 <= status < 300 else f"answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        line.close()
