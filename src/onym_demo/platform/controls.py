"""Levers for the demo and the tests, for callers on this machine: somebody returns, signs up,
things go wrong. No part of the contract; nothing here is signed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onym_demo import story
from onym_demo.platform import account, handover, keyed, signed
from onym_demo.platform.contract import answer, plaza, wish
from onym_demo.platform.problem import Problem

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_OWN: Final = frozenset({"", "none", "same-origin"})
Endpoint = Callable[[Request], Awaitable[Response]]


def local(endpoint: Endpoint) -> Endpoint:
    """Only from this machine, and not from a page of another site open in a browser on it."""

    async def guarded(request: Request) -> Response:
        client = request.client.host if request.client else ""
        origin = request.headers.get("sec-fetch-site", "")
        if not ({client, request.url.hostname or ""} <= _LOOPBACK and origin in _OWN):
            raise Problem(403, "not_from_here")
        return await endpoint(request)

    return guarded


def _told(found: object, status: int = 200) -> Response:
    return answer((status, json.dumps(found, ensure_ascii=False)))


async def log_in(request: Request) -> Response:
    here, asked = plaza(request), wish(await signed.read_body(request))
    now = here.clock.now()
    found = await here.writer.do(lambda db: account.log_in(db, asked.get("account_id"), now=now))
    return _told(found)


async def sign_up(request: Request) -> Response:
    here, asked = plaza(request), wish(await signed.read_body(request))
    now = here.clock.now()

    def joined(db: sqlite3.Connection) -> dict[str, Any]:
        made = account.sign_up(db, asked, now=now)
        handover.furnish(db, int(made["account_id"]))
        return made

    return _told(await here.writer.do(joined), 201)


async def private(request: Request) -> Response:
    return _told(handover.private(plaza(request).db, request.path_params["account_id"]))


async def keep(request: Request) -> Response:
    here, asked = plaza(request), wish(await signed.read_body(request))
    return _told(await here.writer.do(lambda db: keyed.keep(db, asked)), 201)


async def kept(request: Request) -> Response:
    return _told(keyed.told(plaza(request).db, request.path_params["handle"]))


async def describe(request: Request) -> Response:
    here, asked = plaza(request), wish(await signed.read_body(request))
    return _told(await here.writer.do(lambda db: account.describe(db, asked)))


async def people(_: Request) -> Response:
    held: dict[str, Any] = {"handle": story.HANDLE, "sunset": story.SUNSET}
    return _told({**story.PEOPLE, **{name: {"account_id": which} for name, which in held.items()}})


async def arm(request: Request) -> Response:
    here = plaza(request)
    here.faults.arm(wish(await signed.read_body(request)), now=here.clock.now())
    return _told(here.faults.armed(), 201)


async def armed(request: Request) -> Response:
    return _told(plaza(request).faults.armed())


async def disarm(request: Request) -> Response:
    plaza(request).faults.clear()
    return _told([])


ROUTES: Final = (
    Route("/demo/login", local(log_in), methods=["POST"]),
    Route("/demo/accounts", local(sign_up), methods=["POST"]),
    Route("/demo/accounts/{account_id}", local(private)),
    Route("/demo/keyed", local(keep), methods=["POST"]),
    Route("/demo/keyed/{handle}", local(kept)),
    Route("/demo/bio", local(describe), methods=["POST"]),
    Route("/demo/people", local(people)),
    Route("/demo/faults", local(armed), methods=["GET"]),
    Route("/demo/faults", local(arm), methods=["POST"]),
    Route("/demo/faults", local(disarm), methods=["DELETE"]),
)
