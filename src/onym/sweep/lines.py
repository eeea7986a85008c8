"""Text files as rows: a bounded survey of a file, and a mended copy of one that is not clean.

Bulk engines lose rows silently in files with mixed line ends, endless lines or stray quotes, so
each text file is surveyed first and mended when it must be (docs/reference/account-table.md).
"""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from onym.core import errors

ROW_BYTES = 131_072  # the longest row; also the field limit of Python's csv module
ROW_LINES = 1_000  # the most lines one quoted row may span
ENGINE = 2 * ROW_BYTES + 32  # what an engine must take: a row with every quote doubled
BLOCK = 65_536  # below ROW_BYTES, so only a line that crosses a block can be too long
BOM = codecs.BOM_UTF8
DELIMITERS = (",", ";", "\t", "|")

Drop = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one pass over a file found. `clean`: an engine can be trusted to read it as it is."""

    size: int
    rows: int
    clean: bool


def survey(path: Path, *, quoted: bool) -> Survey:
    """Count rows (line ends outside quotes when `quoted`) in bounded memory, header included."""
    tally = _Tally(quoted=quoted)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            tally.add(block)
    return tally.close()


class _Tally:
    """The running state of a survey, fed block by block."""

    def __init__(self, *, quoted: bool) -> None:
        self._quoted = quoted
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._size = self._rows = self._run = 0
        self._feeds = self._returns = self._pairs = 0
        self._inside = False
        self._last = b"\n"
        self._clean = True

    def add(self, block: bytes) -> None:
        self._size += len(block)
        self._count_ends(block)
        self._count_rows(block)
        self._measure(block)
        self._check_text(block)
        self._last = block[-1:]

    def close(self) -> Survey:
        rows = self._rows + (self._last != b"\n")
        ends_agree = self._returns == 0 or self._returns == self._pairs == self._feeds
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            self._clean = False
        clean = self._clean and ends_agree and not self._inside
        return Survey(size=self._size, rows=rows, clean=clean)

    def _count_ends(self, block: bytes) -> None:
        joined = self._last + block if self._last == b"\r" else block
        self._feeds += block.count(b"\n")
        self._returns += block.count(b"\r")
        self._pairs += joined.count(b"\r\n")
        seam = self._last + block[:2]
        if b"\n\n" in block or b"\n\r\n" in block or seam.startswith((b"\n\n", b"\n\r")):
            self._clean = False  # an empty line is no row, and engines disagree about it

    def _count_rows(self, block: bytes) -> None:
        parts = block.split(b'"') if self._quoted else [block]
        for index, part in enumerate(parts):
            if index:
                self._inside = not self._inside
            if not self._inside:
                self._rows += part.count(b"\n")

    def _measure(self, block: bytes) -> None:
        first = block.find(b"\n")
        if self._run + (len(block) if first < 0 else first) > ROW_BYTES:
            self._clean = False
        self._run = self._run + len(block) if first < 0 else len(block) - block.rfind(b"\n") - 1

    def _check_text(self, block: bytes) -> None:
        if not self._clean:
            return
        if b"\0" in block or b"\x1f" in block:
            self._clean = False
        try:
            self._decoder.decode(block)
        except UnicodeDecodeError:
            self._clean = False


def header(path: Path) -> tuple[str, Sequence[str]]:
    """The delimiter and the column names of a CSV file; refuses what is no header."""
    with path.open("rb") as file:
        line = file.readline(ROW_BYTES + 1)
    if len(line) > ROW_BYTES:
        raise errors.Malformed(f"{path.name}, line 1: the header is longer than {ROW_BYTES} bytes")
    try:
        text = line.removeprefix(BOM).decode("utf-8").rstrip("\r\n")
        delimiter = max(DELIMITERS, key=text.count)
        names = [
            name.strip() for name in next(csv.reader([text], delimiter=delimiter, strict=True))
        ]
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise errors.Malformed(f"{path.name}, line 1: not a UTF-8 header line") from error
    if "\0" in text or (doubled := _doubled(names)):
        what = f"the column {doubled!r} stands twice" if "\0" not in text else "a NUL byte"
        raise errors.Malformed(f"{path.name}, line 1: {what}")
    return delimiter, names


def _doubled(names: Sequence[str]) -> str | None:
    return next((name for name in names if name and names.count(name) > 1), None)


def mend_csv(path: Path, out: Path, *, delimiter: str, width: int, drop: Drop) -> int:
    """Copy the readable rows, each led by its number, comma-separated; `drop` hears of the rest.

    Rows are numbered from 1 after the header, empty lines not counted. Answers the rows copied.
    A stray quote costs its own row only: reading goes on at the next line. A delimiter after the
    last value is no value, as engines have it.
    """
    kept = 0
    with path.open("rb") as source, out.open("w", encoding="utf-8", newline="") as target:
        feed = _Feed(source)
        next(feed, None)
        writer = csv.writer(target, lineterminator="\n")
        for number, row in enumerate(_rows(feed, delimiter), start=1):
            if isinstance(row, str):
                drop(number, row)
            elif len(row) != width and row[width:] != [""]:
                drop(number, "row_columns")
            else:
                writer.writerow((number, *row[:width]))
                kept += 1
    return kept


def mend_lines(path: Path, out: Path, *, drop: Drop) -> int:
    """The same for files of one value a line; number and line stand apart by a unit separator."""
    kept = 0
    with path.open("rb") as source, out.open("w", encoding="utf-8", newline="") as target:
        for number, line in enumerate(_Feed(source), start=1):
            fault = line.fault or ("row_json" if "\x1f" in line.text else None)
            if fault:
                drop(number, fault)
                continue
            target.write(f"{number}\x1f{line.text}\n")
            kept += 1
    return kept


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    fault: str | None = None


class _Feed:
    """Lines that are not empty, none longer than ROW_BYTES in memory; some may be handed back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._back: deque[_Line] = deque()
        if file.read(len(BOM)) != BOM:
            file.seek(0)

    def __iter__(self) -> Iterator[_Line]:
        return self

    def __next__(self) -> _Line:
        if self._back:
            return self._back.popleft()
        while raw := self._file.readline(ROW_BYTES + 1):
            if len(raw) > ROW_BYTES and not raw.endswith(b"\n"):
                self._skip()
                return _Line("", "row_length")
            if raw := raw.rstrip(b"\r\n"):
                return _read_line(raw)
        raise StopIteration

    def hand_back(self, lines: Sequence[_Line]) -> None:
        self._back.extendleft(reversed(lines))

    def _skip(self) -> None:
        while (rest := self._file.readline(ROW_BYTES)) and not rest.endswith(b"\n"):
            pass


def _read_line(raw: bytes) -> _Line:
    if b"\0" in raw:
        return _Line("", "row_nul")
    try:
        return _Line(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return _Line("", "row_encoding")


def _rows(feed: _Feed, delimiter: str) -> Iterator[list[str] | str]:
    """Each row as its fields, or as the reason why it cannot be read."""
    for first in feed:
        if first.fault:
            yield first.fault
            continue
        taken = [first]
        try:
            yield next(csv.reader(_span(feed, taken), delimiter=delimiter, strict=True))
        except csv.Error:
            feed.hand_back(taken[1:])
            yield "row_quote"


def _span(feed: _Feed, taken: list[_Line]) -> Iterator[str]:
    """The lines of one row as its quotes ask for them, noted in `taken`, up to the limits."""
    yield taken[0].text + "\n"
    room = ROW_BYTES - len(taken[0].text)
    for line in feed:
        taken.append(line)
        room -= len(line.text)
        if line.fault or room < 0 or len(taken) > ROW_LINES:
            return
        yield line.text + "\n"
