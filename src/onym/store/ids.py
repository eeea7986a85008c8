"""Identifiers: a three-letter prefix that names the noun, and a UUIDv7 (RFC 9562) in hex."""

from __future__ import annotations

import os
import time
import uuid


def new(prefix: str) -> str:
    """`sal_0198…`: sorts by the machine's time of making, unguessable in its last 74 bits."""
    millis = time.time_ns() // 1_000_000
    value = (millis & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{uuid.UUID(int=value).hex}"
