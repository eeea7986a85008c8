"""The columns of an account table, and how each value of a source becomes one of them in SQL.

docs/reference/account-table.md lists them. Everything here is text for the bulk engine; a value
that cannot be read becomes NULL beside a source value that is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from onym.core import errors

Kind = Literal["text", "instant", "count", "score", "flag", "status"]

COLUMNS: Mapping[str, Kind] = {
    "account_id": "text",
    "handle": "text",
    "created_at": "instant",
    "last_login_at": "instant",
    "last_post_at": "instant",
    "last_api_at": "instant",
    "last_payment_at": "instant",
    "followers": "count",
    "following": "count",
    "posts": "count",
    "status": "status",
    "suspension_final_at": "instant",
    "appeal_open": "flag",
    "memorial": "flag",
    "verified": "flag",
    "public_body": "flag",
    "legal_hold": "flag",
    "minor": "flag",
    "dispute_open": "flag",
    "subscriber": "flag",
    "bot_score": "score",
    "inbound_refs": "count",
    "registered_batch": "text",
    "bio": "text",
    "last_post_text": "text",
    "site_url": "text",
    "site_alive": "flag",
    "email": "text",
    "locale": "text",
}
TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "instant": "TIMESTAMP",
    "count": "BIGINT",
    "score": "DOUBLE",
    "flag": "BOOLEAN",
    "status": "VARCHAR",
}
FAULTS: Mapping[Kind, str] = {
    "instant": "unreadable_instant",
    "count": "unreadable_number",
    "score": "unreadable_number",
    "flag": "unreadable_boolean",
    "status": "unknown_status",
}
STATUSES = ("active", "suspended", "deactivated")

_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?"
_OFFSET = r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_INSTANT = rf"\d{{4}}-\d{{2}}-\d{{2}}([Tt ]{_TIME}{_OFFSET}?)?"
_WHOLE = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)")


def read_mapping(text: str) -> dict[str, str]:
    """`column=source,column=source` as a mapping. Refuses `malformed` what is not of that form."""
    mapping: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        column, equals, source = (piece.strip() for piece in part.partition("="))
        if not (column and equals and source):
            raise errors.Malformed(f"--map: {part.strip()!r} is not of the form column=source")
        if column not in COLUMNS:
            raise errors.Malformed(f"--map: {column!r} is no column of an account table")
        if mapping.setdefault(column, source) != source:
            raise errors.Malformed(f"--map: {column!r} has two sources")
    return mapping


def read(kind: Kind, raw: str, source: str = "VARCHAR") -> str:
    """The SQL that turns expression `raw` of engine type `source` into a value of `kind`.

    Instants are UTC without a zone, in microseconds; one without an offset is taken as UTC.
    """
    if kind == "text":
        return raw
    if kind == "instant":
        return _within(_instant(raw, source))
    if kind == "flag":
        return raw if source == "BOOLEAN" else _flag(raw)
    if kind == "status":
        allowed = ", ".join(f"'{status}'" for status in STATUSES)
        return f"CASE WHEN lower({raw}) IN ({allowed}) THEN lower({raw}) END"
    if kind == "score":
        number = f"TRY_CAST({raw} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    return _count(raw, source)


def direct(kind: Kind, source: str) -> bool:
    """Whether a typed source column is read as it is, not through its text form."""
    if kind == "instant":
        return source == "DATE" or source.startswith("TIMESTAMP")
    if kind == "count":
        return bool(_WHOLE.fullmatch(source))
    return kind == "flag" and source == "BOOLEAN"


def _instant(raw: str, source: str) -> str:
    if source.startswith("TIMESTAMPTZ") or source.endswith("WITH TIME ZONE"):
        return f"make_timestamp(epoch_us(CAST({raw} AS TIMESTAMPTZ)))"
    if source != "VARCHAR":
        return f"TRY_CAST({raw} AS TIMESTAMP)"
    zoned = (
        f"CASE WHEN length({raw}) = 10 THEN {raw} || 'T00:00:00Z'"
        f" WHEN regexp_matches({raw}, '{_OFFSET}$') THEN upper({raw}) ELSE upper({raw}) || 'Z' END"
    )
    read = f"make_timestamp(epoch_us(TRY_CAST({zoned} AS TIMESTAMPTZ)))"
    return f"CASE WHEN regexp_full_match({raw}, '{_INSTANT}') THEN {read} END"


def _within(instant: str) -> str:
    """Only the years 1 to 9999, which every reader of a snapshot can hold."""
    first, end = "TIMESTAMP '0001-01-01'", "TIMESTAMP '10000-01-01'"
    return f"CASE WHEN {instant} >= {first} AND {instant} < {end} THEN {instant} END"


def _flag(raw: str) -> str:
    return (
        f"CASE WHEN lower({raw}) IN ('true', 't', 'yes', 'y', '1') THEN true"
        f" WHEN lower({raw}) IN ('false', 'f', 'no', 'n', '0') THEN false END"
    )


def _count(raw: str, source: str) -> str:
    if _WHOLE.fullmatch(source):
        return f"CASE WHEN {raw} >= 0 THEN TRY_CAST({raw} AS BIGINT) END"
    digits = f"split_part({raw}, '.', 1)"
    return (
        f"CASE WHEN regexp_full_match({raw}, '\\d{{1,18}}(\\.0+)?')"
        f" THEN TRY_CAST({digits} AS BIGINT) END"
    )
