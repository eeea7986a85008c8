"""Clauses about the list of accounts while handles move, and about handing an account over."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import quote

from onym.ports.conformance import reading
from onym.ports.conformance.asking import Reply, fresh_key
from onym.ports.conformance.clause import Chapter, expect, expect_refusal
from onym.ports.conformance.ground import STALE, Ground
from onym.ports.conformance.handles import swap

_list = Chapter("Reads")
_since = Chapter("What changed since")
_hand_over = Chapter("`POST /accounts/{id}/hand-over`")


@_list.clause(
    "list.stable", "The order of the list does not change when a handle moves", "accounts"
)
def stable(ground: Ground) -> None:
    before = list(reading.walk(ground))
    swap(ground)
    after = list(reading.walk(ground))
    expect(before == after, "after a move the same cursors tell other accounts")


@_since.clause(
    "since.moved",
    "`since` lists both accounts of a move made after that instant",
    "accounts",
    "since",
)
def moved(ground: Ground) -> None:
    as_of = str(ground.asker.read("/accounts").facts.get("as_of"))
    swap(ground)
    path, listed = f"/accounts?since={quote(as_of, safe='')}", set()
    cursor: str | None = ""
    while cursor is not None:
        here = path + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
        items, cursor = reading.page(ground, here)
        listed |= set(reading.ids_of(items))
    missing = [named.account_id for named in ground.pair if named.account_id not in listed]
    expect(not missing, f"changed since {datetime.fromisoformat(as_of)}, not listed: {missing}")


@_hand_over.clause(
    "hand_over.once",
    "A hand-over is done once a fence: an old one is 412 `stale_fence`",
    "accounts",
    "mail",
    "hand_over",
)
def hand_over(ground: Ground) -> None:
    fence = 1
    while (told := _hand(ground, fence)).code == STALE and fence < 2**62:
        fence *= 2
    expect(told.status in (200, 201), f"answers {told}")
    expect_refusal(_hand(ground, fence), 412, STALE)


def _hand(ground: Ground, fence: int) -> Reply:
    _, two = ground.pair
    path = f"/accounts/{quote(two.account_id, safe='')}/hand-over"
    wish: dict[str, object] = {"email": ground.mail, "fence": fence, "wipe": []}
    return ground.asker.write(path, wish, key=fresh_key())


CLAUSES: Final = (*_list.clauses, *_since.clauses, *_hand_over.clauses)
