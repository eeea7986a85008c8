"""What an examination finds: one line each, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` is a stable word, `found` what is so, `todo` what to do about it (empty when ok)."""

    area: str
    state: State
    found: str
    todo: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<5} {self.area:<10} {self.found}"
        return line + (f"\n{'':<17}→ {self.todo}" if self.todo else "")

    def plain(self) -> dict[str, str]:
        return asdict(self)


def ok(area: str, found: str) -> Finding:
    return Finding(area, "ok", found)


def warn(area: str, found: str, todo: str) -> Finding:
    return Finding(area, "warn", found, todo)


def fail(area: str, found: str, todo: str) -> Finding:
    return Finding(area, "fail", found, todo)
