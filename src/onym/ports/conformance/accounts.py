"""Clauses about the list of accounts while handles move, and about handing an account over."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
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
    expect_refusal(_hand(ground, _hand_high(ground)), 412, STALE)


@_hand_over.clause(
    "hand_over.told",
    "`GET /accounts/{id}/hand-over` names the fence of the last one and the digest of the address",
    "accounts",
    "mail",
    "hand_over",
)
def told(ground: Ground) -> None:
    fence = _hand_high(ground)
    now = ground.asker.read(_path(ground))
    address = sha256(str(ground.mail).strip().lower().encode()).hexdigest()
    expect(now.facts.get("fence") == fence, f"after a hand-over with fence {fence} says {now}")
    expect(now.facts.get("address") == address, f"the address is not that of {ground.mail}: {now}")


@_hand_over.clause(
    "hand_over.bar",
    "Without an address nothing changes but the fence, and only after the hand-over that is named",
    "accounts",
    "mail",
    "hand_over",
)
def bar(ground: Ground) -> None:
    fence = _hand_high(ground)
    barred = _hand(ground, fence + 2, email=None, last=fence)
    expect(barred.status in (200, 201), f"a bar answers {barred}")
    now = ground.asker.read(_path(ground)).facts.get("fence")
    expect(now == fence, f"a bar is told as the hand-over {now}")
    expect_refusal(_hand(ground, fence + 1), 412, STALE)
    other = _hand(ground, fence + 3, email=None, last=fence + 1)
    expect(other.status == 412, f"a bar after another hand-over answers {other}")


@_hand_over.clause(
    "hand_over.handle",
    "An account that does not hold `handle` is not handed over: 412",
    "accounts",
    "mail",
    "hand_over",
)
def wrong_handle(ground: Ground) -> None:
    one, _ = ground.pair
    fence = _hand_high(ground)
    refused = _hand(ground, fence + 1, handle=one.handle)
    expect(refused.status == 412, f"with the handle of another account answers {refused}")


def _hand_high(ground: Ground) -> int:
    """Hand the account over with a fence that was not used before: that fence."""
    fence = 1
    while (said := _hand(ground, fence)).code == STALE and fence < 2**62:
        fence *= 2
    expect(said.status in (200, 201), f"answers {said}")
    return fence


def _hand(ground: Ground, fence: int, **changes: object) -> Reply:
    wish: dict[str, object] = {"email": ground.mail, "fence": fence, "wipe": []}
    return ground.asker.write(_path(ground), wish | changes, key=fresh_key())


def _path(ground: Ground) -> str:
    _, two = ground.pair
    return f"/accounts/{quote(two.account_id, safe='')}/hand-over"


CLAUSES: Final = (*_list.clauses, *_since.clauses, *_hand_over.clauses)
