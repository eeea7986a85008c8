"""The site as a real server on 127.0.0.1, and a real browser to look at it with."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from playwright.sync_api import Browser, sync_playwright


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port that it listens on for the while."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet, ipv6=False, connections_override={})
    server.daemon_threads = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """The system's own; while it runs, this thread may not ask the database."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", *more]
        )
        yield browser
        browser.close()
