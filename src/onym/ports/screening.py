"""Who is known how well, and who is on a list: by default two files that the operator renews.

The first line of each is `as_of,2026-11-27`. A file that is missing or older than allowed, by the
machine's clock, answers nothing: then nobody is paid and nobody pays.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from onym.core.errors import ScreeningStale


class Screening(Protocol):
    """`names` are all that may not deal here; refuses `screening_stale`."""

    def names(self, *, today: date) -> tuple[str, ...]: ...


class Identity(Protocol):
    """`tier` of a member, empty when they are not known; refuses `screening_stale`."""

    def tier(self, member: str, *, today: date) -> str: ...


@dataclass(frozen=True, slots=True)
class NameList:
    """One name a line after the date; a second column, if any, is the list's own number."""

    path: Path
    most_days: int

    def names(self, *, today: date) -> tuple[str, ...]:
        return tuple(row[0] for row in _fresh(self.path, self.most_days, today))


@dataclass(frozen=True, slots=True)
class TierFile:
    """`member,tier` a line; `*` stands for every other member."""

    path: Path
    most_days: int

    def tier(self, member: str, *, today: date) -> str:
        rows = {row[0]: row[1] for row in _fresh(self.path, self.most_days, today) if len(row) > 1}
        return rows.get(member, rows.get("*", ""))


def _fresh(path: Path, most_days: int, today: date) -> tuple[tuple[str, ...], ...]:
    try:
        at = path.stat().st_mtime_ns
        as_of, rows = _read(path, at)
    except (OSError, ValueError, UnicodeDecodeError, csv.Error):
        raise ScreeningStale("the list cannot be read") from None
    if not as_of <= today <= as_of + timedelta(days=most_days):
        raise ScreeningStale(
            f"the list is of {as_of}, and at most {most_days} days may have passed"
        )
    return rows


@lru_cache(maxsize=8)
def _read(path: Path, _: int) -> tuple[date, tuple[tuple[str, ...], ...]]:
    """Read anew whenever the file has changed."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    if head[0].strip() != "as_of":
        raise ValueError("the first line is as_of and a date")
    told = (tuple(cell.strip() for cell in row) for row in rows)
    return date.fromisoformat(head[1].strip()), tuple(row for row in told if row and row[0])
