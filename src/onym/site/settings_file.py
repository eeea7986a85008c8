"""The settings of a DATA: `DATA/onym.env`, one `NAME=value` a line, for its owner alone.

The same file serves systemd (`EnvironmentFile=`) and every command; what is in the environment
already wins. docs/guides/running.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from onym.core.errors import Malformed

NAME = "onym.env"
_LINE = re.compile(r'([A-Z][A-Z0-9_]*)=(?:"((?:[^"\\]|\\.)*)"|([^"\s].*?|))\s*')


def path(data_dir: Path) -> Path:
    return data_dir / NAME


def read(file: Path) -> dict[str, str]:
    """What it sets. Refuses `malformed`, naming the line."""
    found = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise Malformed(f'{file}, line {number}: write NAME=value or NAME="value"')
        quoted, plain = match[2], match[3]
        found[match[1]] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
    return found


def in_(data_dir: Path) -> dict[str, str]:
    """What the file of this DATA sets; nothing where there is none."""
    file = path(data_dir)
    return read(file) if file.exists() else {}


def use(data_dir: Path, *, replace: bool = False) -> None:
    """Put into the environment what is not there yet; with `replace` all of it."""
    for name, value in in_(data_dir).items():
        if replace or name not in os.environ:
            os.environ[name] = value


def text(sections: Mapping[str, Mapping[str, str]]) -> str:
    """The file: a comment before each section, values in quotation marks."""
    lines = ["# Written by onym init; change it by hand as you like, then run onym doctor."]
    for title, values in sections.items():
        lines += ["", f"# {title}"]
        lines += [f'{name}="{_quoted(value)}"' for name, value in values.items()]
    return "\n".join(lines) + "\n"


def changed(content: str, name: str, value: str) -> str:
    """The file's text with this name set to `value`, or without it if that is empty."""
    kept = [line for line in content.splitlines() if not line.lstrip().startswith(f"{name}=")]
    added = [f'{name}="{_quoted(value)}"'] if value else []
    return "\n".join([*kept, *added]) + "\n"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def write(file: Path, content: str) -> None:
    """Write it as a whole, with mode 0600."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    number = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(number, "w") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
