"""Where things stand in a TOML text, which its parser does not tell: key → line and column.

It walks text that already parsed, so it may be simple: it skips strings and comments, counts
brackets, and notes each header, key, value and element of an array.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

Path = tuple[str | int, ...]

_HEADER = re.compile(r"[ \t]*(\[\[?)[ \t]*([\w-]+)[ \t]*\]\]?")
_KEY = re.compile(r"[ \t]*([\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*=[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_REST = re.compile(r"[^\n]*\n?")


class Position(NamedTuple):
    """A place in a text; both count from 1."""

    line: int
    column: int


class Places:
    """The positions of one text. A path that is not noted has its nearest parent's position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._keys: dict[Path, int] = {}
        self._values: dict[Path, int] = {}
        self._walk()

    def key(self, path: Path) -> Position:
        """Where the key, or the header of the table, stands."""
        return self._find(path, self._keys)

    def value(self, path: Path) -> Position:
        """Where the value begins."""
        return self._find(path, {**self._keys, **self._values})

    def _find(self, path: Path, noted: Mapping[Path, int]) -> Position:
        while path and path not in noted:
            path = path[:-1]
        return at(self._text, noted.get(path, 0))

    def _walk(self) -> None:
        table: Path = ()
        counts: dict[str, int] = {}
        offset = 0
        while offset < len(self._text):
            if header := _HEADER.match(self._text, offset):
                table = _table(header[1], header[2], counts)
                self._keys[table] = header.start(1)
            elif key := _KEY.match(self._text, offset):
                path = (*table, key[1].strip("\"'"))
                self._keys[path], self._values[path] = key.start(1), key.end()
                offset = self._skip_value(path, key.end())
                continue
            offset = _line_end(self._text, offset)

    def _skip_value(self, path: Path, offset: int) -> int:
        """The start of the line after the value at `offset`; elements of an array are noted."""
        depth, element, expected = 0, 0, False
        while offset < len(self._text):
            char = self._text[offset]
            if char == "\n" and depth == 0:
                return offset + 1
            if char == "#":
                offset = self._text.find("\n", offset) % (len(self._text) + 1)
                continue
            if expected and char not in " \t\r\n,]":
                self._values[(*path, element)] = offset
                element, expected = element + 1, False
            if string := _STRING.match(self._text, offset):
                offset = string.end()
                continue
            depth += (char in "[{") - (char in "]}")
            expected = expected or (depth == 1 and char in "[,")
            offset += 1
        return offset


def at(text: str, offset: int) -> Position:
    """The line and column of the character at `offset`."""
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _table(brackets: str, name: str, counts: dict[str, int]) -> Path:
    if brackets == "[":
        return (name,)
    counts[name] = counts.get(name, -1) + 1
    return (name, counts[name])


def _line_end(text: str, offset: int) -> int:
    rest = _REST.match(text, offset)
    return rest.end() if rest else len(text)
