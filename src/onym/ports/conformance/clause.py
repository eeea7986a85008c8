"""A clause of the contract, how it is tried, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from onym.ports.conformance.asking import Reply, Silent
from onym.ports.conformance.ground import Ground


class Verdict(StrEnum):
    """What is known of a clause."""

    PASS = "pass"  # noqa: S105 - no password; it was tried and is kept
    FAIL = "fail"  # it was tried and is broken
    NOT_CHECKED = "not checked"  # it was not tried; the detail says why


class Broken(Exception):
    """The platform does something else than the clause says."""


class Untried(Exception):
    """Another clause is broken, so that this one cannot be tried."""


@dataclass(frozen=True, slots=True)
class Clause:
    """`section` is a heading of docs/guides/platform.md; `needs` is what a trial needs to have."""

    id: str
    sentence: str
    section: str
    needs: tuple[str, ...]
    try_it: Callable[[Ground], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause's verdict."""

    clause: Clause
    verdict: Verdict
    detail: str = ""


class Chapter:
    """Collects the clauses of one section in their order."""

    def __init__(self, section: str) -> None:
        self._section = section
        self.clauses: list[Clause] = []

    def clause(
        self, id_: str, sentence: str, *needs: str, section: str = ""
    ) -> Callable[[Callable[[Ground], None]], Callable[[Ground], None]]:
        """Register a trial, which raises Broken where the clause is not kept."""

        def register(try_it: Callable[[Ground], None]) -> Callable[[Ground], None]:
            self.clauses.append(Clause(id_, sentence, section or self._section, needs, try_it))
            return try_it

        return register


def expect(holds: bool, detail: str) -> None:
    """Raises Broken with `detail` unless it holds."""
    if not holds:
        raise Broken(detail)


def expect_refusal(reply: Reply, status: int, code: str = "") -> None:
    """Raises Broken unless the reply is that refusal; any code will do where none is named."""
    kept = reply.status == status and code in ("", reply.code)
    expect(kept, f"answers {reply}, not {status} {code}".rstrip())


def judge(ground: Ground, clauses: Sequence[Clause]) -> Iterator[Finding]:
    """Try one clause after the other; after each, what it changed is put back."""
    for clause in clauses:
        missing = next(filter(None, map(ground.lacks, clause.needs)), "")
        if missing:
            yield Finding(clause, Verdict.NOT_CHECKED, missing)
            continue
        finding = _tried(ground, clause)
        if "accounts" in clause.needs or "handle" in clause.needs:
            ground.put_back()
        yield finding


def _tried(ground: Ground, clause: Clause) -> Finding:
    try:
        clause.try_it(ground)
    except Untried as trouble:
        return Finding(clause, Verdict.NOT_CHECKED, str(trouble))
    except (Broken, Silent) as trouble:
        return Finding(clause, Verdict.FAIL, str(trouble))
    return Finding(clause, Verdict.PASS)
