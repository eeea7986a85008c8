"""What an account has posted, made up again on each view: the same account, the same posts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from onym_demo import phrases, sample, story
from onym_demo.platform import account
from onym_demo.platform.seed import Beginning

_Told = tuple[int, str]  # instant, text


@dataclass(frozen=True, slots=True)
class Post:
    """The `number`-th post of its account; in `text`, `<@id>` names another account."""

    number: int
    at: int
    text: str


def latest(
    found: sqlite3.Row, beginning: Beginning, *, before: int | None, limit: int, now: int
) -> Sequence[Post]:
    """Newest first, from the one below number `before`."""
    total = account.living(found, now=now).posts or 0
    newest = total if before is None else min(total, before - 1)
    fixed = json.loads(found["fixed"])
    return [
        Post(number, *_post(found, fixed, number, beginning))
        for number in range(newest, max(0, newest - limit), -1)
    ]


def _post(found: sqlite3.Row, fixed: dict[str, Any], number: int, beginning: Beginning) -> _Told:
    account_id = str(found["id"])
    told = story.POSTS.get(account_id, ())
    if number <= len(told):
        when, text = told[number - 1]
        return int(when.timestamp()), text
    at = _instant(found, fixed, number)
    first = found["posts"] or 0
    if number == first and fixed.get("last_post_text"):
        return at, fixed["last_post_text"]
    asides = dict(story.ASIDES.get(account_id, ()))
    return at, asides.get(first - number) or _made_up(found, fixed, number, beginning)


def _instant(found: sqlite3.Row, fixed: dict[str, Any], number: int) -> int:
    """Before the start, posts lie evenly between birth and the last; later, at every few logins."""
    first = found["posts"] or 0
    if number > first:
        step: int = found["post_every"] * found["period"]
        return int(found["next_login"]) + (number - first - 1) * step
    last = found["post"] or found["login"] or 0
    born = fixed.get("created_at")
    birth = int(datetime.fromisoformat(born).timestamp()) if born else last
    return last - (first - number) * max(0, last - birth) // max(1, first)


def _made_up(found: sqlite3.Row, fixed: dict[str, Any], number: int, beginning: Beginning) -> str:
    rng = Random(f"{beginning.seed}:{found['id']}:{number}")  # noqa: S311  # sample data
    friend = sample.FIRST_ID + int(rng.random() * max(1, beginning.count))
    return phrases.post(locale=fixed.get("locale") or "en", rng=rng, mention=f"<@{friend}>")
