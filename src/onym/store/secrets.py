"""Confidential fields at rest: AES-256-GCM with the field's place as associated data.

A sealed value opens only where it was written (table, column and key); `index` is the keyed
digest by which a mail address is found without being readable. See docs/concepts/secrets.md.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


def seal(text: str, *, place: str) -> bytes:
    """`place` is `table.column/key`; opening under another place fails."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_key("seal")).encrypt(nonce, text.encode(), place.encode())


def open_(sealed: bytes | memoryview, *, place: str) -> str:
    sealed = bytes(sealed)
    return AESGCM(_key("seal")).decrypt(sealed[:12], sealed[12:], place.encode()).decode()


def index(text: str, *, purpose: str) -> str:
    """Keyed digest of `text`, case-folded, for equality look-ups only."""
    return hmac.new(_key(f"index/{purpose}"), text.casefold().encode(), hashlib.sha256).hexdigest()


def digest(token: str) -> str:
    """What is kept of a token that a link or a header carries."""
    return hashlib.sha256(token.encode()).hexdigest()


def _key(purpose: str) -> bytes:
    return hmac.new(settings.FIELD_KEY.encode(), purpose.encode(), hashlib.sha256).digest()
