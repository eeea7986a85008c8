"""How far a sweep is, in a small file beside its findings, for whoever waits elsewhere."""

from __future__ import annotations

from pathlib import Path


def write(file: Path, percent: int) -> None:
    """Whole per cent, in one piece: a reader never sees half of it."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(f"{percent}\n")
    fresh.replace(file)


def read(file: Path) -> int:
    """What was written last; 0 where nothing was yet."""
    try:
        return min(100, max(0, int(file.read_text())))
    except (OSError, ValueError):
        return 0
