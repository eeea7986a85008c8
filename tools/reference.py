"""Writes docs/reference from the code it describes: `python tools/reference.py`."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from onym.core import errors, events
from onym.site import environment

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "Written by tools/reference.py; do not edit."


def table(*head: str, rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def refusals() -> str:
    """Every class of core/errors, by HTTP status."""
    found = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.Refusal) and one is not errors.Refusal
    ]
    rows = [(one.status, f"`{one.code}`", one.title) for one in found]
    return table("Status", "Code", "Title", rows=sorted(rows))


def log_events() -> str:
    """Every type of entry that the log knows."""
    return "\n".join(f"- `{name}`" for name in sorted(events.TYPES))


def settings() -> str:
    """Every variable of the environment, by section."""
    return "\n\n".join(
        f"## {title}\n\n"
        + table(
            "Name", "Default", "Meaning", rows=[(f"`{s[0]}`", s[1] or "–", s[2]) for s in group]
        )
        for title, group in environment.GROUPS.items()
    )


def command_line() -> str:
    """Every command with its arguments and options; read in a process of its own.

    Some commands need Django to be set up, though none connects to anything.
    """
    with tempfile.TemporaryDirectory() as data:
        own = {"ONYM_DATA": data, "DJANGO_SETTINGS_MODULE": "onym.site.settings"}
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.run(  # noqa: S603 - this very file
            [sys.executable, __file__, "--commands"],
            env={**os.environ, **own, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()


EXIT_CODES = """\
Exit codes: 0 done; 1 refused, or something is wrong; 2 the words were not understood; 130 stopped
by Ctrl-C. A refusal is one line on standard error, `onym: code: what and what to do`; with `--json`
it is a problem object (RFC 9457) on standard output. Mistakes in the words are told on standard
error in either case. Every command takes `-h` and `--help`."""


def commands_told() -> str:
    """The text of `command_line`."""
    import django

    from onym.site import command as commands

    django.setup()
    parts = [EXIT_CODES]
    for name in commands.group.list_commands(click.Context(commands.group)):
        module = importlib.import_module(commands.COMMANDS[name][0])
        parts += _told(f"onym {name}", module.command)
    return "\n\n".join(parts)


def _told(name: str, command: click.Command) -> list[str]:
    """A section for it, and one for each of its own commands."""
    words, example = _words(inspect.cleandoc(command.help or ""))
    if isinstance(command, click.Group):
        inner = [_told(f"{name} {sub}", one) for sub, one in sorted(command.commands.items())]
        return [f"## {name}\n\n{words}", *(part for parts in inner for part in parts)]
    given = [one for one in command.params if isinstance(one, click.Argument)]
    usage = " ".join([name, *(one.make_metavar(click.Context(command)) for one in given)])
    rows = [
        (f"`{', '.join(one.opts + one.secondary_opts)}`{_values(one)}", _meaning(one))
        for one in command.params
        if isinstance(one, click.Option) and not one.hidden
    ]
    options = "\n\n" + table("Option", "Meaning", rows=rows) if rows else ""
    return [f"## {name}\n\n`{usage}`\n\n{words}{example}{options}"]


def _words(told: str) -> tuple[str, str]:
    """(the sentences on one line, the example as a block)."""
    words, _, example = told.partition("\b\nExample:\n")
    block = f"\n\n```\n{example.strip()}\n```" if example else ""
    return " ".join(words.split()), block


def _values(option: click.Option) -> str:
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    return f" {' '.join(f'`{one}`' for one in choices)}" if choices else ""


def _meaning(option: click.Option) -> str:
    """The help, whether it must be given, and a default that is a plain value."""
    default = option.default
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    parts = [option.help or "", "Required." if option.required else ""]
    parts += [f"Default: `{default}`." if is_plain and default not in ("", 0) else ""]
    return " ".join(filter(None, parts))


PAGES = {
    "cli": ("Command line", command_line),
    "refusals": ("Refusals", refusals),
    "events": ("Events of the log", log_events),
    "settings": ("Settings", settings),
}


def page(name: str) -> str:
    """The whole text of docs/reference/NAME.md."""
    title, body = PAGES[name]
    return f"# {title}\n\n{MADE}\n\n{body()}\n"


if __name__ == "__main__" and "--commands" in sys.argv:
    print(commands_told())
elif __name__ == "__main__":
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(page(name))
