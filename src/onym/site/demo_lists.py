"""The demo's files for screening and tiers: there before anybody joins, and never stale."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

LISTED = "Radomir Specimen"
"""Nobody's name: the one on the demo's list."""

LASTS_DAYS = 36_500


def names(data: Path) -> Path:
    """Whose names may not deal here."""
    return data / "demo" / "screening.csv"


def tiers(data: Path) -> Path:
    """Which member is known how well."""
    return data / "demo" / "tiers.csv"


def begin(data: Path) -> dict[str, str]:
    """Settings that name both files, which are begun at the first start: all people verified."""
    today = datetime.now(UTC).date()
    for file, rows in ((names(data), ()), (tiers(data), ("*,verified",))):
        if not file.exists():
            _write(file, [f"as_of,{today}", *rows])
    return {
        "ONYM_SCREENING_LIST": str(names(data)),
        "ONYM_TIERS": str(tiers(data)),
        "ONYM_LIST_DAYS": str(LASTS_DAYS),
    }


def add(file: Path, row: str) -> None:
    """One more line; a second time is nothing."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if row not in lines:
        _write(file, [*lines, row])


def _write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(file)
