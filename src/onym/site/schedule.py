"""How often the market does by itself what an operator may also do by command."""

from __future__ import annotations

from onym.core.errors import Malformed

MOST_HOURS = 24 * 31


def hours(text: str) -> int:
    """Whole hours; empty or 0: never by itself. Refuses `malformed`."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= MOST_HOURS):
        raise Malformed(f"ONYM_IMPORT_HOURS is a whole number of hours, 0 to {MOST_HOURS}")
    return int(text)
