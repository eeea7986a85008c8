"""Keeps a set of processes alive, and ends all of them when it ends, however it ends.

A child that stops is started again, after a pause that doubles. Every child gets the kernel's
parent-death signal, so nothing outlives a supervisor that was killed. See docs/guides/running.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onym.core.errors import DatabaseUnavailable, Refusal
from onym.site import embedded, ownership

TICK_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0  # alive for so long, and the pause starts small again
READY_SECONDS = 60.0
SERVER_PAUSE_SECONDS = 5.0
STOP_SECONDS = 3.0  # for all children together; the database gets what is left of five
DATABASE_STOP_SECONDS = 1.5


class CannotStart(Refusal):
    status, code, title = 503, "cannot_start", "A part of Onym does not start"


@dataclass(slots=True)
class Child:
    """One process to keep alive: how to start it, and how to tell that it answers."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    answers: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0  # monotonic seconds, as the rest here
    pause: float = FIRST_PAUSE_SECONDS
    due_at: float = 0.0
    starts: int = 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass(slots=True)
class Supervisor:
    """The children of one DATA, and its embedded server unless the database is elsewhere."""

    data_dir: Path
    server: embedded.EmbeddedPostgres | None = None
    children: list[Child] = field(default_factory=list)
    stopping: int = 0  # signals received
    server_due_at: float = 0.0

    def __post_init__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_soon)

    def _stop_soon(self, _number: int, _frame: object) -> None:
        self.stopping += 1

    def start(self, child: Child) -> None:
        """Start it now, with its output appended to DATA/logs."""
        if child not in self.children:
            self.children.append(child)
        with embedded.log_file(self.data_dir / "logs" / f"{child.name}.log") as log:
            child.process = subprocess.Popen(  # noqa: S603 - our own programs
                ownership.launched("self", signal.SIGKILL, child.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **child.environment},
                start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
            )
        child.started_at = time.monotonic()
        child.starts += 1

    def await_answers(self, *children: Child) -> None:
        """Return once each of them answers. Refuses (`cannot_start`) when one dies or dawdles."""
        until = time.monotonic() + READY_SECONDS
        waiting = list(children)
        while waiting and not self.stopping:
            for dead in (child for child in waiting if not child.alive):
                raise CannotStart(f"{dead.name} does not start: {self.last_words(dead.name)}")
            child = waiting[0]
            if child.answers():
                waiting.pop(0)
            elif time.monotonic() > until:
                raise CannotStart(f"{child.name} does not answer; see {self.log(child.name)}")
            else:
                time.sleep(TICK_SECONDS / 2)

    def once(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Run a task to its end. Refuses (`cannot_start`) when it fails."""
        task = Child(name, command, environment)
        self.start(task)
        try:
            while task.alive and not self.stopping:
                self.tend(besides=task)
                time.sleep(TICK_SECONDS / 2)
            if not self.stopping and task.process and task.process.returncode:
                raise CannotStart(f"{name} failed: {self.last_words(name)}")
        finally:
            if not task.alive:
                self.children.remove(task)

    def keep(self) -> None:
        """Keep everything alive until a signal says stop."""
        while not self.stopping:
            self.tend()
            time.sleep(TICK_SECONDS)

    def tend(self, besides: Child | None = None) -> None:
        """Start again what has stopped and whose pause is over."""
        self._tend_server()
        for child in self.children:
            if child is not besides and not child.alive:
                self._again(child)

    def _again(self, child: Child) -> None:
        now = time.monotonic()
        if not child.due_at:
            if now - child.started_at > STEADY_SECONDS:
                child.pause = FIRST_PAUSE_SECONDS
            child.due_at = now + child.pause
            code = child.process.returncode if child.process else None
            _tell(f"{child.name} stopped ({_ending(code)}); again in {child.pause:g} s")
        elif now >= child.due_at:
            child.pause = min(child.pause * 2, LONGEST_PAUSE_SECONDS)
            child.due_at = 0.0
            self.start(child)

    def _tend_server(self) -> None:
        """A server that cannot start, for want of space perhaps, is tried again for ever."""
        server, now = self.server, time.monotonic()
        if server is None or now < self.server_due_at:
            return
        if server.process is not None and server.process.poll() is None:
            return
        _tell("database stopped; starting it again")
        try:
            server.start()
        except DatabaseUnavailable as refusal:
            _tell(refusal.detail)
            self.server_due_at = now + SERVER_PAUSE_SECONDS

    def stop(self) -> None:
        """End all children, then the database; at most five seconds, and nothing is lost."""
        until = time.monotonic() + STOP_SECONDS
        for child in self.children:
            _send(child, signal.SIGTERM)
        while any(child.alive for child in self.children) and self.stopping < 2:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        for child in self.children:
            _send(child, signal.SIGKILL, whole_group=True)
        for child in self.children:
            if child.process:
                child.process.wait()
        if self.server:
            self.server.stop(seconds=DATABASE_STOP_SECONDS)

    def log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def last_words(self, name: str) -> str:
        """The last line that it wrote, and where the rest is."""
        with contextlib.suppress(OSError):
            lines = self.log(name).read_text(errors="replace").strip().splitlines()
            if lines:
                return f"{lines[-1].strip()} (see {self.log(name)})"
        return f"see {self.log(name)}"


def _send(child: Child, number: signal.Signals, *, whole_group: bool = False) -> None:
    """To the child, or also to what it started: it leads a session and so a group of its own."""
    if child.process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        if whole_group:
            os.killpg(child.process.pid, number)
        elif child.alive:
            child.process.send_signal(number)


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit {code}"
    return signal.Signals(-code).name


def _tell(line: str) -> None:
    print(f"onym: {line}", file=sys.stderr, flush=True)
