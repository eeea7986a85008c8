"""A line to a server that can be cut: what is sent is passed on, unless a fault is armed.

It stands between a port and the real server, so that an answer can be lost and somebody can act
between two requests.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

KINDS = ("cut_before", "cut_after", "error", "error_after")


class Line:
    """`arm` makes the next request whose path has `on` in it fail; `between` acts after it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.armed: list[tuple[str, str]] = []
        self.acts: list[tuple[str, Callable[[], Any]]] = []
        self.base = ""

    def arm(self, kind: str, *, on: str, times: int = 1) -> None:
        assert kind in KINDS
        self.armed += [(kind, on)] * times

    def between(self, act: Callable[[], Any], *, on: str) -> None:
        """Once, after the server has done such a request and before the answer is passed on."""
        self.acts.append((on, act))

    def fault(self, path: str) -> str:
        for place, (kind, on) in enumerate(self.armed):
            if on in path:
                del self.armed[place]
                return kind
        return ""

    def passed(self, path: str) -> None:
        for place, (on, act) in enumerate(self.acts):
            if on in path:
                del self.acts[place]
                act()
                return

    def ask(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        link = http.client.HTTPConnection(self.upstream.netloc, timeout=30)
        try:
            link.request(verb, path, body=body or None, headers=headers)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()


@contextmanager
def laid(upstream: str) -> Iterator[Line]:
    """The line while the block runs."""
    line = Line(upstream)

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass("GET")

        def do_POST(self) -> None:
            self._pass("POST")

        def _pass(self, verb: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = line.fault(self.path)
            if kind == "cut_before":
                self.close_connection = True
                return
            if kind == "error":
                self._say(500, b'{"error": "InternalServerError"}')
                return
            kept = ("Authorization", "Content-Type", "Accept")
            headers = {name: self.headers[name] for name in kept if self.headers[name]}
            status, answer = line.ask(verb, self.path, body, headers)
            if status == 200:
                line.passed(self.path)
            if kind == "cut_after":
                self.close_connection = True
            elif kind == "error_after":
                self._say(500, b'{"error": "InternalServerError"}')
            else:
                self._say(status, answer)

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    line.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
