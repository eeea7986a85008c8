"""Numbers in the environment: what is no number, or out of its bounds, is said at start."""

from __future__ import annotations

import os

from onym.core.errors import Malformed

MOST_HOURS = 24 * 31
MOST_SECONDS = 600


def whole(name: str, default: int, *, least: int = 0, most: int) -> int:
    """A whole number from `least` to `most`; `default` where none is set. Refuses `malformed`."""
    text = os.environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 7 and least <= int(text) <= most):
        raise Malformed(f"{name} is a whole number, {least} to {most}")
    return int(text)


def seconds(name: str, default: float) -> float:
    """A time to wait for somebody, at most ten minutes. Refuses `malformed`."""
    text = os.environ.get(name, "")
    try:
        found = float(text or default)
    except ValueError:
        found = 0
    if not 0 < found <= MOST_SECONDS:
        raise Malformed(f"{name} is a number of seconds, above 0 and up to {MOST_SECONDS}")
    return found
