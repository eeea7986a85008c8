"""Faults on demand: the platform is slow, cuts the line, fails, lies, or shows an old state."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from onym_demo.platform.problem import Problem

# What each does to the next requests it is armed for; "write" is the contract's effect.
KINDS: Final = {
    "delay": "waits before the write",
    "delay_after": "waits between the write and the answer",
    "cut_before": "cuts the connection, nothing written",
    "cut_after": "writes, then cuts the connection instead of answering",
    "error": "answers 500, nothing written",
    "error_after": "writes, then answers 500",
    "busy": "answers 429 and asks for `seconds` of quiet, nothing written",
    "lie": "answers as if it had written, and has not",
    "stale_reads": "reads show the state of the moment this was armed, until all is cleared",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`on` is a route of the contract, `writes`, `reads` or `*`; `times` counts its strikes."""

    kind: str
    on: str
    times: int
    seconds: float


class Faults:
    """What is armed, in memory only: a restart is a repair."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._armed: list[Fault] = []
        self.stale: tuple[sqlite3.Connection, int] | None = None

    def arm(self, wish: Mapping[str, Any], *, now: int) -> Fault:
        """Refused as malformed: a kind or a number that is none."""
        try:
            fault = Fault(
                str(wish["kind"]),
                str(wish.get("on", "writes")),
                int(wish.get("times", 1)),
                float(wish.get("seconds", 1)),
            )
        except (KeyError, TypeError, ValueError) as missing:
            raise Problem(422, "malformed", f"a fault has kind, on, times: {missing}") from None
        if fault.kind not in KINDS or fault.times < 1 or not 0 <= fault.seconds <= 600:
            raise Problem(422, "malformed", f"kinds: {', '.join(KINDS)}")
        if fault.kind == "stale_reads":
            self._pin(now)
        self._armed.append(fault)
        return fault

    def _pin(self, now: int) -> None:
        """An open read transaction sees the state of now, whatever is written after."""
        self._unpin()
        connection = self._connect()
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM meta").fetchone()
        self.stale = connection, now

    def _unpin(self) -> None:
        if self.stale is not None:
            self.stale[0].close()
            self.stale = None

    def clear(self) -> None:
        self._armed.clear()
        self._unpin()

    def armed(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._armed]

    def take(self, route: str, *, sort: str) -> Fault | None:
        """The first armed fault that strikes this request; `sort` is `writes` or `reads`."""
        for place, fault in enumerate(self._armed):
            if fault.kind != "stale_reads" and fault.on in (route, sort, "*"):
                self._armed[place : place + 1] = (
                    [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                )
                return fault
        return None


def cut(client: tuple[str, int | str] | None) -> None:
    """Shut the caller's connection down under the server that holds it (Linux: by /proc)."""
    if client is None:
        return
    peer = (client[0], int(client[1]))
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):  # a copy of anything else would stay open
                _shut(number, peer)


def _shut(number: int, peer: tuple[str, int]) -> None:
    with socket.socket(fileno=os.dup(number)) as line:
        if line.getpeername() == peer:
            line.shutdown(socket.SHUT_RDWR)
