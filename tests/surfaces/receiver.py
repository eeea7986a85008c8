"""A relying site for tests: takes webhooks over HTTP, and fails as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`behaviour` holds what the next requests are answered with, 204 once it is empty: a status,
    `drop` (the connection is cut), `late` (heard, then cut), or `slow` (silence)."""

    port: int = 0
    behaviour: list[Any] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def messages(self, type_: str = "handover.read_back") -> list[dict[str, Any]]:
        told = [json.loads(body) for _, body in self.heard]
        return [one for one in told if one["type"] == type_]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.heard]

    def verified(self, secret: str) -> bool:
        """Every message heard so far, checked as a Standard Webhooks library checks it."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return all(_right(key, headers, body) for headers, body in self.heard)


def _right(key: bytes, headers: dict[str, str], body: bytes) -> bool:
    stamp = headers["webhook-timestamp"]
    mac = hmac.new(key, f"{headers['webhook-id']}.{stamp}.".encode() + body, hashlib.sha256)
    wanted = "v1," + base64.b64encode(mac.digest()).decode()
    fresh = abs(time.time() - int(stamp)) < 300
    return fresh and wanted in headers["webhook-signature"].split(" ")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """One that listens on loopback until the test is over."""
    here = Receiver()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = here.behaviour.pop(0) if here.behaviour else 204
            if answer == "drop":
                self._cut()
                return
            here.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
            if answer == "late":
                self._cut()
            elif answer == "slow":
                time.sleep(7)
            elif isinstance(answer, int):
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", f"{here.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _cut(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    here.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
