"""Policies as text and as values: the built-in ones beside this file, and any operator's own."""

from __future__ import annotations

import functools
from importlib import resources

from onym.core import errors
from onym.core.policies import reading
from onym.core.policies.model import Policy

BUILT_IN = ("x-2023", "onym-default", "onym-atproto")


def text_of(id_: str) -> str:
    """The TOML text of a built-in policy; refuses `not_found` for any other id."""
    if id_ not in BUILT_IN:
        known = ", ".join(BUILT_IN)
        raise errors.NotFound(f"no built-in policy is called {id_!r}; there are {known}")
    return resources.files(__name__).joinpath(f"{id_}.toml").read_text("utf-8")


@functools.cache
def built_in(id_: str) -> Policy:
    """A built-in policy by its id; refuses `not_found`."""
    return reading.read(text_of(id_), f"{id_}.toml")
