"""Confidential fields at rest: AES-256-GCM with the field's place as associated data.

A sealed value opens only where it was written (table, column and key); `index` is the keyed
digest by which a mail address is found without being readable. See docs/concepts/secrets.md.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


def seal(text: str, *, place: str) -> bytes:
    """`place` is `table.column/key`; opening under another place fails."""
    nonce = os.urandom(12)
    return nonce + _cipher(settings.FIELD_KEY).encrypt(nonce, text.encode(), place.encode())


def open_(sealed: bytes | memoryview, *, place: str) -> str:
    sealed = bytes(sealed)
    cipher = _cipher(settings.FIELD_KEY)
    return cipher.decrypt(sealed[:12], sealed[12:], place.encode()).decode()


def index(text: str, *, purpose: str) -> str:
    """Keyed digest of `text`, case-folded, for equality look-ups only."""
    key = _key(settings.FIELD_KEY, f"index/{purpose}")
    return hmac.new(key, text.casefold().encode(), hashlib.sha256).hexdigest()


def digest(token: str) -> str:
    """What is kept of a token that a link or a header carries."""
    return hashlib.sha256(token.encode()).hexdigest()


@lru_cache(maxsize=4)
def _cipher(field_key: str) -> AESGCM:
    return AESGCM(_key(field_key, "seal"))


def _key(field_key: str, purpose: str) -> bytes:
    return hmac.new(field_key.encode(), purpose.encode(), hashlib.sha256).digest()
