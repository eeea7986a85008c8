"""Two clocks: the market's (machine time plus the demo's offset) and the machine's."""

from __future__ import annotations

import time
from pathlib import Path


class Clock:
    """Reads the demo's offset file, one decimal count of seconds; a missing file means 0."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._offset = 0

    def machine(self) -> float:
        return time.time()

    def market(self) -> float:
        """Machine time plus the offset, which is read again only when the file was replaced."""
        return time.time() + self.offset()

    def offset(self) -> int:
        if self.path is None:
            return 0
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return 0
        if (stamp := (stat.st_ino, stat.st_mtime_ns)) != self._stamp:
            self._offset = int(self.path.read_text().strip() or "0")
            self._stamp = stamp
        return self._offset
