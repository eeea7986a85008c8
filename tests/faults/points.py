"""Points at which a process may die: each statement, each commit, each call of the outside world.

`Points` counts them as they pass and kills its own process with SIGKILL at the one it was told.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection


class Points:
    """`at` is the number of the point to die at, counted from 1; 0 lives and only counts.

    `only` counts the points of one sort: sql, commit or call.
    """

    def __init__(self, at: int = 0, *, only: str = "") -> None:
        self.at = at
        self.only = only
        self.passed: list[str] = []

    def reach(self, name: str) -> None:
        if not name.startswith(self.only):
            return
        self.passed.append(name)
        if len(self.passed) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, world: Any) -> None:
        """From here on every statement, commit and outside call of this process is a point."""
        self.watch_database()
        world.install(
            payments=Watched(world.out.payments(), self, "payments"),
            platform=Watched(world.out.platform(), self, "platform"),
        )

    def watch_database(self) -> None:
        connection.execute_wrappers.append(self._statement)
        self._watch_commits()

    def _statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.reach(f"sql {' '.join(sql.split())[:60]}")
        return execute(sql, params, many, context)

    def _watch_commits(self) -> None:
        """Django's own commit, which no wrapper of statements sees."""
        connection.ensure_connection()
        commit = connection._commit

        def watched() -> None:
            self.reach("commit before")
            commit()
            self.reach("commit after")

        connection._commit = watched  # type: ignore[method-assign]  # of this process alone


def again_at(passed: list[str], at: int) -> Points:
    """Point `at` of a run that has passed these, in another run, which may take a statement more or
    less on its way there; beyond the last it is counted on.
    """
    name = passed[at - 1] if at <= len(passed) else ""
    before = sum(one.startswith(name) for one in passed[:at])
    return Points(before if name else at, only=name)


class Watched:
    """A port whose calls are points before they are made and after the outside has acted."""

    def __init__(self, port: Any, points: Points, name: str) -> None:
        self._port, self._points, self._name = port, points, name

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._port, verb)
        return self._around(verb, found) if callable(found) else found

    def _around(self, verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **named: Any) -> Any:
            self._points.reach(f"call before {self._name}.{verb}")
            answer = call(*args, **named)
            self._points.reach(f"call after {self._name}.{verb}")
            return answer

        return watched


def in_a_child(act: Callable[[], None], *, seconds: float = 60.0) -> int:
    """Run `act` in a process forked off here; 0 if it came to its end, -9 if it was killed.

    The parent's connections are closed before: no two processes share one.
    """
    from django.db import connections

    connections.close_all()
    report = Path(os.environ["ONYM_DATA"]) / f"child-{os.getpid()}"
    report.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _be_the_child(act, report, seconds)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"the child ended with {code}:\n{_said(report)}")
    return code


def _be_the_child(act: Callable[[], None], report: Path, seconds: float) -> None:
    """Never returns: what was registered to run at the parent's exit must not run here."""
    code = 1
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds))
    try:
        act()
        code = 0
    except BaseException:
        import traceback

        report.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _said(report: Path) -> str:
    return report.read_text() if report.exists() else "without a word"
