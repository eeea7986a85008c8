"""Run `localstripe` on 127.0.0.1 alone: by itself it would listen on every interface.

A program of its own; nothing of it is imported by the product or by a test.
"""

from __future__ import annotations

import socket
from typing import Any


class Loopback(socket.socket):
    """Binds to loopback whatever is asked for."""

    def bind(self, address: Any) -> None:
        super().bind(("::ffff:127.0.0.1", address[1]))


if __name__ == "__main__":
    from localstripe import resources, server

    resources.Store.dump_to_disk = lambda _: None  # it would leave a file for the next run
    server.socket.socket = Loopback
    server.start()
