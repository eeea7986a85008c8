"""What a port writes down about its writes where the platform remembers none of them.

`Journal` is kept by store/platform.py. `Book` gives every write one effect under its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from onym.ports.platform import Answer, Outcome

PATIENCE = 5.0
"""Seconds to wait for another process that writes about the same names."""


NOTHING: Mapping[str, str] = MappingProxyType({})


class Journal(Protocol):
    """Rows are mappings with `key`, `subject`, `fence`, `wish`, `progress`, `answer`, `code`,
    `detail` and `facts`; an empty answer is a write whose end is not known.
    """

    def turn(self, names: Iterable[str], *, seconds: float) -> AbstractContextManager[bool]: ...

    def find(self, key: str) -> Mapping[str, Any] | None: ...

    def open_about(self, subject: str) -> Mapping[str, Any] | None: ...

    def highest_fence(self, subject: str) -> int: ...

    def last_done(self, subject: str, *, having: str) -> Mapping[str, Any] | None: ...

    def begin(
        self, *, key: str, subject: str, fence: int | None, wish: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...

    def note(self, key: str, progress: Mapping[str, Any]) -> None: ...

    def end(self, key: str, *, answer: str, code: str, detail: str, facts: Any) -> None: ...


@dataclass(slots=True)
class Write:
    """A write under way; `progress` outlives the process that began it.

    `beside` is what must not be written down, and is there only for whoever asks right now.
    """

    key: str
    wish: Mapping[str, Any]
    progress: dict[str, Any]
    beside: Mapping[str, str]
    journal: Journal

    def note(self, **news: Any) -> None:
        """Add to the progress, and keep it before anything more is asked."""
        self.progress |= news
        self.journal.note(self.key, self.progress)


Run = Callable[[Write], Outcome]


class Book:
    """Every write: in its turn, once under its name, and none while another's end is unknown.

    `run` takes a write up wherever it stands: it may have begun in another process, which died.
    """

    def __init__(self, journal: Journal, run: Run, *, patience: float = PATIENCE) -> None:
        self._journal = journal
        self._run = run
        self._patience = patience

    def once(
        self,
        *,
        key: str,
        subject: str,
        wish: Mapping[str, Any],
        names: Iterable[str] = (),
        fence: int | None = None,
        beside: Mapping[str, str] = NOTHING,
    ) -> Outcome:
        """The outcome of the write, or the one that this key has had before.

        Refused as `idempotency_mismatch` for another wish under the key, as `stale` for a fence
        that is not above the highest one used; unknown while somebody else has the turn.
        """
        with self._journal.turn({subject, *names}, seconds=self._patience) as mine:
            if not mine:
                return Outcome(Answer.UNKNOWN, "in_progress", "another write is under way")
            known = self._journal.find(key)
            if known is None:
                return self._first(key, subject, fence, wish, beside)
            if _text(known["wish"]) != _text(wish):
                return Outcome(Answer.REFUSED, "idempotency_mismatch", "another wish had this key")
            return self._go(known, beside)

    def last(self, subject: str, *, having: str) -> Mapping[str, Any] | None:
        """The last write about `subject` that was done and whose wish has the field `having`."""
        return self._journal.last_done(subject, having=having)

    def _first(
        self,
        key: str,
        subject: str,
        fence: int | None,
        wish: Mapping[str, Any],
        beside: Mapping[str, str],
    ) -> Outcome:
        earlier = self._journal.open_about(subject)
        if earlier is not None and self._go(earlier, NOTHING).unknown:
            return Outcome(Answer.UNKNOWN, "in_progress", f"{earlier['key']} has no end yet")
        highest = self._journal.highest_fence(subject)
        is_stale = fence is not None and fence <= highest
        row = self._journal.begin(
            key=key, subject=subject, fence=None if is_stale else fence, wish=wish
        )
        if is_stale:
            facts = {"code": "stale_fence", "fence": highest}
            return self._end(key, Outcome(Answer.REFUSED, "stale", "", facts))
        return self._go(row, beside)

    def _go(self, row: Mapping[str, Any], beside: Mapping[str, str]) -> Outcome:
        if row["answer"]:
            return Outcome(Answer(row["answer"]), row["code"], row["detail"], row["facts"])
        write = Write(row["key"], row["wish"], dict(row["progress"]), beside, self._journal)
        made = self._run(write)
        return made if made.unknown else self._end(row["key"], made)

    def _end(self, key: str, made: Outcome) -> Outcome:
        self._journal.end(
            key,
            answer=made.answer.value,
            code=made.code,
            detail=made.detail,
            facts=dict(made.facts),
        )
        return made


def _text(wish: Mapping[str, Any]) -> str:
    return json.dumps(wish, sort_keys=True)
