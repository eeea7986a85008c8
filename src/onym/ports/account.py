"""What a platform says of a whole account that was handed over, and how addresses are compared."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The last hand-over's `fence`, 0 before any, and the SHA-256 (hex) of the mail address that
    is in force now, None where there is none.
    """

    fence: int
    address: str | None


def address_digest(email: str) -> str:
    """What the two sides compare of an address: no case, no white space around it."""
    return sha256(email.strip().lower().encode()).hexdigest()
