"""Webhooks of relying sites: when a delivery is tried again, and when it is given up.

The message is that of Standard Webhooks (https://www.standardwebhooks.com); docs/guides/relying.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

SECRET_PREFIX = "whsec_"  # noqa: S105 - the field's prefix, not a secret
SECRET_BYTES = 32
PING, HANDOVER = "webhook.ping", "handover.read_back"

WAITS_SECONDS = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 72_000)
"""After each failed attempt, on the machine's clock: ten attempts in about two days."""

OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced still signs beside the new one, on the machine's clock."""

PINGS = 5
"""Attempts at the first ping; an address that none of them reaches is forgotten."""


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # to be sent, or to be sent again
    DELIVERED = "delivered"  # answered with a 2xx
    DEAD = "dead"  # given up; its subscriber or the desk may send it again


class Standing(StrEnum):
    """Where a subscription stands."""

    PENDING = "pending"  # its address has not answered the ping yet
    ACTIVE = "active"
    ENDED = "ended"  # by its member, by a 410, or because no ping was answered


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one attempt: the HTTP status, or None and in a word why there is none."""

    status: int | None
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """410: the receiver wants no more of it."""
        return self.status == 410


def next_wait(attempts: int, *, most: int = len(WAITS_SECONDS) + 1) -> int | None:
    """Seconds until the next attempt after `attempts` failed ones; None: it is given up."""
    return WAITS_SECONDS[attempts - 1] if attempts < most else None


def secret(entropy: bytes) -> str:
    """What a subscriber is given once, made of `SECRET_BYTES` random bytes."""
    return SECRET_PREFIX + base64.b64encode(entropy).decode()


def headers(*, secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Id, time and signatures, one a secret with a space between, the newest secret's first.

    Each is `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.
    """
    said = f"{id}.{timestamp}.".encode() + body
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_mac(one, said)}" for one in secrets),
    }


def _mac(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
