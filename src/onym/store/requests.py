"""What is kept of a named request: nothing that tells a payload or opens a link, even by trying."""

from __future__ import annotations

import re

from onym.store import secrets

KEYED = "k"
IN_ROUTE = re.compile(r"(?<=/invitations/)[^/]{20,}")


def keyed(sha256: str) -> str:
    """The payload's digest under the field key: an account number is not found by trying all."""
    return KEYED + secrets.index(sha256, purpose="request")[1:]


def named(route: str) -> str:
    """The route with an invitation's token digested, so that it names the link and is not it."""
    return IN_ROUTE.sub(lambda found: secrets.index(found[0], purpose="route")[:16], route)
