"""Is this an account's row as the contract has it? Types by column, unknown columns ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from onym.ports.platform import COLUMNS, INSTANTS

_WHOLE: Final = frozenset({"followers", "following", "posts", "inbound_refs"})
_YES_NO: Final = frozenset(
    {
        "appeal_open",
        "memorial",
        "verified",
        "public_body",
        "legal_hold",
        "minor",
        "dispute_open",
        "subscriber",
        "site_alive",
    }
)
_STATUS: Final = frozenset({"active", "suspended", "deactivated"})


def fault(row: Any) -> str:
    """The first thing that is wrong with it, empty where nothing is."""
    if not isinstance(row, dict):
        return f"{row!r} is no object"
    for name in ("account_id", "handle"):
        if not isinstance(row.get(name), str):
            return f"{name} is {row.get(name)!r}, not a string"
    return next(
        (
            f"account {row['account_id']}: {name} is {row[name]!r}, not {_kind(name)}"
            for name in COLUMNS
            if row.get(name) is not None and not _is_well(name, row[name])
        ),
        "",
    )


def _kind(name: str) -> str:
    if name in INSTANTS:
        return "an instant in RFC 3339 with its time zone"
    if name in _WHOLE:
        return "a whole number"
    if name in _YES_NO:
        return "true or false"
    return "active, suspended or deactivated" if name == "status" else "of the right type"


def _is_well(name: str, value: Any) -> bool:
    if name in INSTANTS:
        return is_instant(value)
    if name in _WHOLE:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name in _YES_NO:
        return isinstance(value, bool)
    if name == "bot_score":
        return isinstance(value, int | float) and 0 <= value <= 1
    return value in _STATUS if name == "status" else isinstance(value, str)


def is_instant(value: Any) -> bool:
    """RFC 3339 with a time zone."""
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
