"""Event streams: a process of its own, without Django, so that thousands of them stay cheap."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from onym.site import launch

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

if os.environ.get("ONYM_SUPERVISED"):
    launch.die_with(0, signal.SIGKILL)


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """ASGI 3: answers `/health`; every other path is not found."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        known = scope["path"] == "/health"
        body = b'{"status": "alive"}' if known else b'{"code": "not_found", "status": 404}'
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        status = 200 if known else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
