"""The id of the request that this thread works for, carried into the jobs that it orders.

It is for reading logs alone: no decision looks at it, and nothing about a person is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ARGUMENT = "request_id"
"""The name under which it travels among a job's arguments."""

HEADER = "X-Request-ID"
"""The name under which it comes, and goes on to the platform."""

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_now: ContextVar[str] = ContextVar("onym_request", default="")


def current() -> str:
    """The id, empty where no request is behind what runs."""
    return _now.get()


def is_id(text: str) -> bool:
    """Whether an id from outside may be taken over."""
    return bool(_ID.fullmatch(text))


@contextmanager
def working_for(id_: str) -> Iterator[None]:
    """All that runs inside does so for this request."""
    token = _now.set(id_)
    try:
        yield
    finally:
        _now.reset(token)


def carried() -> dict[str, str]:
    """What a job that is ordered now has to be given."""
    return {ARGUMENT: current()} if current() else {}


def header() -> dict[str, str]:
    """What goes with a call to the platform, so that its operator can find the same line."""
    return {HEADER: current()} if current() else {}
