"""The platform's idea of now: the machine's clock plus the demo's offset."""

from __future__ import annotations

import time
from pathlib import Path


class Clock:
    """Follows a file that holds the offset in whole seconds; a missing file is no offset."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._offset = 0

    def now(self) -> int:
        """Seconds since 1970, on the market's clock."""
        return int(time.time()) + self._read()

    def _read(self) -> int:
        if self._file is None:
            return 0
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return 0
        seen = (status.st_ino, status.st_mtime_ns)
        if seen != self._seen:
            self._offset = int(self._file.read_text().strip() or 0)
            self._seen = seen
        return self._offset
