"""Mail addresses of the directory: how the blocks of a snapshot that hold them are sealed."""

from __future__ import annotations

import base64

from onym.store import secrets

PLACE = "directory.contacts/block"


def seal(data: bytes) -> bytes:
    """Sealed under the installation's key; `open_` undoes it."""
    return secrets.seal(base64.b85encode(data).decode(), place=PLACE)


def open_(sealed: bytes) -> bytes:
    return base64.b85decode(secrets.open_(sealed, place=PLACE))
