"""The leaves of a log as its reader sorts them, and how a check of them comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from onym.core import events, fees


class Status(StrEnum):
    """How a check came out; with no subject there was nothing to check."""

    OK = "ok"
    VIOLATED = "violated"
    NO_SUBJECT = "no subject"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `leaf` is the index of the first leaf that violates it."""

    name: str
    status: Status
    detail: str
    leaf: int | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry with its place in the log."""

    index: int
    type: str
    namespace: str
    at: str
    ref: str
    body: Mapping[str, Any]

    def before(self, other: Leaf) -> bool:
        """Earlier in the log, or at the same instant, that is by the same decision."""
        return self.index < other.index or self.at == other.at


Finding = tuple[Leaf, str | None]
"""A subject of a rule, and what is wrong with it."""

FindSchedule = Callable[[str, str], fees.Schedule | None]
"""The fee schedule of a version (`onym-2026/1`) in a currency, None if it is not known."""


@dataclass(slots=True)
class Record:
    """All leaves of a log, by type and by what they are about, and the fee schedules."""

    schedule: FindSchedule
    by_type: dict[str, list[Leaf]] = field(default_factory=lambda: defaultdict(list))
    by_ref: dict[str, list[Leaf]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[Finding] = field(default_factory=list)
    size: int = 0

    def add(self, entry: bytes) -> None:
        index, self.size = self.size, self.size + 1
        try:
            found = events.read(entry)
        except ValueError as fault:
            self.unreadable.append((Leaf(index, "", "", "", "", {}), str(fault)))
            return
        leaf = Leaf(index, found.type, found.namespace, found.at, found.ref, found.body)
        why = events.misfit(found)
        if why:
            self.unreadable.append((leaf, why))
            return
        self.by_type[leaf.type].append(leaf)
        self.by_ref[leaf.ref].append(leaf)

    def of(self, *types: str) -> list[Leaf]:
        """The leaves of these types, in order."""
        return sorted((leaf for t in types for leaf in self.by_type[t]), key=lambda x: x.index)

    def about(self, ref: object, *types: str) -> list[Leaf]:
        """The leaves of these types about `ref`, in order."""
        found = self.by_ref.get(ref, []) if isinstance(ref, str) else []
        return [leaf for leaf in found if leaf.type in types]
