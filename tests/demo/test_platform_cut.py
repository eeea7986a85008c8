"""Cutting a line on demand: that line ends, and nothing else changes."""

from __future__ import annotations

import os
import socket

from onym_demo.platform import faults


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_only_the_line_that_is_meant_is_cut_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, open(os.devnull) as beside:
        address = server.getsockname()
        with socket.create_connection(address) as one, socket.create_connection(address) as other:
            meant, spared = server.accept()[0], server.accept()[0]
            before = open_files()
            for _ in range(3):
                faults.cut(one.getsockname())
            assert open_files() == before
            assert one.recv(1) == b"", "cut"
            spared.sendall(b"x")
            assert other.recv(1) == b"x"
            assert not beside.closed
            meant.close()
            spared.close()


def test_a_caller_that_is_not_known_cuts_nothing() -> None:
    before = open_files()
    faults.cut(None)
    faults.cut(("127.0.0.1", 1))
    assert open_files() == before
