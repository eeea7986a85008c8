"""A port of the outside world whose calls are counted and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Counted:
    """A port whose calls are counted and timed; everything else is the port's own."""

    def __init__(self, port: Any, outside: str) -> None:
        self._port, self._outside = port, outside

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._counted(name, found) if callable(found) else found

    def _counted(self, verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            from onym.site import metrics  # a process that calls nobody keeps no measurements

            began = time.perf_counter()
            outcome = "fault"
            try:
                said = call(*args, **kwargs)
                outcome = _outcome(said)
            except Exception as fault:
                outcome = str(getattr(fault, "code", "fault"))
                raise
            finally:
                metrics.called(
                    outside=self._outside,
                    verb=verb,
                    outcome=outcome,
                    seconds=time.perf_counter() - began,
                )
            return said

        return counted


def _outcome(said: object) -> str:
    """The word that the answer of a port has for how it went."""
    word = getattr(said, "state", None) or getattr(said, "answer", None)
    return str(word) if isinstance(word, str) else "answered"
