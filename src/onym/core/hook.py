"""Hooks: what the operator's own systems end once a handle has changed hands (H8).

Sessions, tokens, mail aliases, webhooks: whatever is keyed by the handle's text and not by the
account must not survive into the next tenure. docs/guides/platform.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from onym.core.errors import Malformed

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")


class State(StrEnum):
    """Where a call to a hook stands."""

    PENDING = "pending"  # ordered; it waits for the one before it
    UNKNOWN = "unknown"  # asked, no answer: asked again with the same key
    DONE = "done"
    REFUSED = "refused"  # the hook will not do it; the desk may ask again


OPEN = (State.PENDING, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Hook:
    """A thing keyed by the handle's text, and the operator's address that ends it."""

    name: str
    url: str


def parse(text: str) -> tuple[Hook, ...]:
    """The operator's list in TOML, in the order in which they are called: `[[hook]] name, url`.

    Refuses `malformed` with what is wrong.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"the hooks cannot be read: {error}") from error
    rows = data.pop("hook", [])
    if data or not isinstance(rows, list):
        raise Malformed("hooks are a list of [[hook]] with name and url, and nothing else")
    hooks = tuple(_hook(row) for row in rows)
    names = [hook.name for hook in hooks]
    if len(set(names)) < len(names):
        raise Malformed("each hook has a name of its own")
    return hooks


def _hook(row: Any) -> Hook:
    if not isinstance(row, Mapping):
        raise Malformed(f"a hook is a [[hook]] with name and url, not {row}")
    name, url = row.get("name"), row.get("url")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or row.keys() != {"name", "url"}:
        raise Malformed(f"a hook has a name such as sessions, and a url: {dict(row)}")
    if not isinstance(url, str) or not _is_whole(url):
        raise Malformed(f"the hook {name} needs the whole address of what it calls")
    return Hook(name, url)


def _is_whole(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
