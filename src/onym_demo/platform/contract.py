"""The signed-HTTP contract as routes; see docs/guides/platform.md for the page operators read."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onym_demo import sample
from onym_demo.platform import account, faults, handle, handover, keyed, move, notice, signed
from onym_demo.platform.clock import Clock
from onym_demo.platform.once import Act, Answer, once
from onym_demo.platform.problem import Problem
from onym_demo.platform.seed import Beginning
from onym_demo.platform.state import Writer

if TYPE_CHECKING:  # its routes need this module
    from onym_demo.platform.openid import Provider

_UNTOLD: Final = frozenset({"account_id", "handle"})
CAPABILITIES: Final = {
    "contract": "signed-http/1",
    "profile": "x",
    "custodian": str(handle.CUSTODIAN),
    "placeholder": "user_{account_id}",
    "atomic_move": True,
    "reserve": True,
    "retain": True,
    "hand_over": True,
    "notices": True,
    "since": True,
    "notice_batch": notice.LARGEST_BATCH,
    "page_size": account.LONGEST_PAGE,
    "signals": [name for name in sample.COLUMNS if name not in _UNTOLD],
}


@dataclass(frozen=True, slots=True)
class Plaza:
    """Everything a request needs."""

    db: sqlite3.Connection
    writer: Writer
    clock: Clock
    verifier: signed.Verifier
    faults: faults.Faults
    beginning: Beginning
    openid: Provider | None = None


class _Rehearsed(Exception):
    """Undoes a write that was made only to learn its answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


def plaza(request: Request) -> Plaza:
    found: Plaza = request.app.state.plaza
    return found


def _busy(fault: faults.Fault) -> Problem:
    return Problem(429, "busy", retry_after=math.ceil(fault.seconds))


def answer(told: Answer) -> Response:
    status, text = told
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Response(text, status, {"X-Content-Type-Options": "nosniff"}, kind)


async def _read(
    request: Request, route: str, look: Callable[[sqlite3.Connection, int], str]
) -> Response:
    """Check a signature if there is one, then answer what `look` finds at the market's now."""
    here = plaza(request)
    here.verifier.reader(request)
    fault = here.faults.take(route, sort="reads")
    if fault is not None:
        await _suffer_reading(fault, request)
    db, now = here.faults.stale or (here.db, here.clock.now())
    return answer((200, look(db, now)))


async def _suffer_reading(fault: faults.Fault, request: Request) -> None:
    if fault.kind.startswith("delay"):
        await asyncio.sleep(fault.seconds)
    elif fault.kind.startswith("cut"):
        faults.cut(request.scope["client"])
    elif fault.kind == "busy":
        raise _busy(fault)
    else:
        raise Problem(500, "fault")


async def _write(
    request: Request, route: str, status: int, do: Callable[[Mapping[str, Any], int], Act]
) -> Response:
    """Check the signature, then do the write once for its key and answer when it is on disk."""
    here = plaza(request)
    body = await signed.read_body(request)
    key_id = here.verifier.writer(request, body)
    work = once(
        request,
        key_id=key_id,
        body=body,
        status=status,
        act=do(wish(body), here.clock.now()),
    )
    return await _struck(request, route, work)


async def _struck(
    request: Request, route: str, work: Callable[[sqlite3.Connection], Answer]
) -> Response:
    """The write, with whatever fault is armed for it."""
    here = plaza(request)
    fault = here.faults.take(route, sort="writes")
    if fault is not None:
        return await _suffer(fault, request, work)
    return answer(await here.writer.do(work))


def wish(body: bytes) -> Mapping[str, Any]:
    """The body's object; refused: 400 malformed."""
    try:
        found = json.loads(body)
    except ValueError:
        raise Problem(400, "malformed", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(400, "malformed", "the body is no object")
    return found


async def _suffer(
    fault: faults.Fault, request: Request, work: Callable[[sqlite3.Connection], Answer]
) -> Response:
    """The write with an armed fault around it."""
    here = plaza(request)
    if fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    if fault.kind == "busy":
        raise _busy(fault)
    if fault.kind == "lie":
        return answer(await _rehearse(here.writer, work))
    told = None
    if fault.kind not in ("cut_before", "error"):
        told = await here.writer.do(work)
    if fault.kind == "delay_after":
        await asyncio.sleep(fault.seconds)
    if fault.kind.startswith("cut"):
        faults.cut(request.scope["client"])
    if told is None or fault.kind == "error_after":
        raise Problem(500, "fault")
    return answer(told)


async def _rehearse(writer: Writer, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
    def undone(db: sqlite3.Connection) -> None:
        raise _Rehearsed(work(db))

    try:
        await writer.do(undone)
    except _Rehearsed as told:
        return told.answer
    raise AssertionError("a rehearsal always ends in Rehearsed")


async def capabilities(request: Request) -> Response:
    return await _read(request, "capabilities", lambda *_: json.dumps(CAPABILITIES))


async def accounts(request: Request) -> Response:
    cursor, limit = request.query_params.get("cursor", "0"), request.query_params.get("limit", "")
    after = account.number(cursor)
    if after is None:
        raise Problem(400, "malformed", "no cursor of this list")
    asked = int(limit) if limit.isdecimal() and limit.isascii() and len(limit) < 6 else 0
    size = min(asked or account.LONGEST_PAGE, account.LONGEST_PAGE)
    since = _since(request.query_params.get("since"))

    def look(db: sqlite3.Connection, now: int) -> str:
        items, last = account.page(db, after=after, limit=size, now=now, since=since)
        following = "null" if last is None else f'"{last}"'
        as_of = account.instant(now)
        return f'{{"items": [{", ".join(items)}], "next": {following}, "as_of": "{as_of}"}}'

    return await _read(request, "accounts", look)


def _since(text: str | None) -> int | None:
    """Seconds since 1970; refused: 400 malformed."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(400, "malformed", f"since {text!r} is no instant") from None
    if at.tzinfo is None:
        raise Problem(400, "malformed", "since has no time zone")
    return math.floor(at.timestamp())


async def one_account(request: Request) -> Response:
    name = request.path_params["account_id"]

    def look(db: sqlite3.Connection, now: int) -> str:
        return account.told(account.need(db, name, status=404), now=now)

    return await _read(request, "account", look)


async def one_handle(request: Request) -> Response:
    name = request.path_params["handle"]
    return await _read(
        request, "handle", lambda db, _: json.dumps(handle.told(handle.find(db, name)))
    )


async def moved(request: Request) -> Response:
    name = request.path_params["handle"]
    return await _write(
        request, "move", 200, lambda asked, now: lambda db: move.move(db, name, asked, now=now)
    )


async def reserved(request: Request) -> Response:
    name = request.path_params["handle"]
    return await _write(request, "reserve", 200, lambda *_: lambda db: handle.reserve(db, name))


async def unreserved(request: Request) -> Response:
    name = request.path_params["handle"]
    return await _write(request, "unreserve", 200, lambda *_: lambda db: handle.unreserve(db, name))


async def handed_over(request: Request) -> Response:
    name = request.path_params["account_id"]
    return await _write(
        request,
        "hand-over",
        200,
        lambda asked, now: lambda db: handover.hand_over(db, name, asked, now=now),
    )


async def handed_over_to(request: Request) -> Response:
    """For the market alone: a digest of an address can be guessed."""
    plaza(request).verifier.asker(request)
    name = request.path_params["account_id"]
    return await _read(request, "handed-over", lambda db, _: json.dumps(handover.told(db, name)))


async def noticed(request: Request) -> Response:
    name = request.path_params["account_id"]
    return await _write(
        request,
        "notices",
        201,
        lambda asked, now: lambda db: notice.notify(db, name, asked, now=now),
    )


async def noticed_many(request: Request) -> Response:
    """Each notice is kept under its own key, so the request's key guards nothing more."""
    here = plaza(request)
    body = await signed.read_body(request)
    key_id = here.verifier.writer(request, body)
    asked, now = wish(body), here.clock.now()
    return await _struck(
        request, "notices", lambda db: notice.notify_many(db, key_id, asked, now=now)
    )


async def hooked(request: Request) -> Response:
    kind = request.path_params["kind"]
    return await _write(
        request, "hook", 200, lambda asked, _: lambda db: keyed.end(db, kind, asked)
    )


ROUTES: Final = (
    Route("/capabilities", capabilities),
    Route("/accounts", accounts),
    Route("/accounts/{account_id}", one_account),
    Route("/accounts/{account_id}/hand-over", handed_over_to, methods=["GET"]),
    Route("/accounts/{account_id}/hand-over", handed_over, methods=["POST"]),
    Route("/accounts/{account_id}/notices", noticed, methods=["POST"]),
    Route("/notices", noticed_many, methods=["POST"]),
    Route("/hooks/{kind}", hooked, methods=["POST"]),
    Route("/handles/{handle}", one_handle),
    Route("/handles/{handle}/move", moved, methods=["POST"]),
    Route("/handles/{handle}/reserve", reserved, methods=["POST"]),
    Route("/handles/{handle}/unreserve", unreserved, methods=["POST"]),
)
