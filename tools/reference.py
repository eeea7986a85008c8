"""Writes docs/reference from the code it describes: `python tools/reference.py`."""

from __future__ import annotations

from pathlib import Path

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


PAGES = {
    "refusals": ("Refusals", refusals),
    "events": ("Events of the log", log_events),
    "settings": ("Settings", settings),
}


def page(name: str) -> str:
    """The whole text of docs/reference/NAME.md."""
    title, body = PAGES[name]
    return f"# {title}\n\n{MADE}\n\n{body()}\n"


if __name__ == "__main__":
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(page(name))
