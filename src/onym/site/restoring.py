"""The mark of a restore under way: nothing starts on a DATA that has it.

The database's own mark, written in the transaction that replaces it, tells afterwards whether that
transaction was committed.
"""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from psycopg import sql

from onym.core.errors import Refusal
from onym.tlog import integrator

MARK = "restore.json"
MOVED = (("store_directoryimport", "path"), ("store_plan", "path"))
"""Columns that name files of DATA by their whole path."""


class Interrupted(Refusal):
    status, code, title = 503, "restore_interrupted", "A restore was interrupted"


def expect_none(data_dir: Path) -> None:
    """Refuses while a restore is not finished."""
    if under_way(data_dir):
        raise Interrupted(
            "a restore was interrupted: run `onym restore FILE` with the same file again, or "
            "`onym restore --abandon` if the database was not replaced yet"
        )


def under_way(data_dir: Path) -> str | None:
    """The id of the backup that is being restored."""
    try:
        return str(json.loads((data_dir / MARK).read_text())["backup"])
    except FileNotFoundError:
        return None


def begin(data_dir: Path, backup: str) -> None:
    was_held = integrator.held(data_dir / "log") is not None
    if under_way(data_dir) is None:
        told = json.dumps({"backup": backup, "was_held": was_held})
        integrator.replace(data_dir, MARK, told.encode())


def end(data_dir: Path) -> None:
    (data_dir / MARK).unlink(missing_ok=True)


def hold(log_dir: Path, *, backup: str, size: int) -> None:
    """Let the log sign nothing until it is resumed."""
    log_dir.mkdir(parents=True, exist_ok=True)
    integrator.hold(log_dir, json.dumps({"backup": backup, "size": size}))


def abandon(data_dir: Path, url: str) -> None:
    """Forget a restore whose transaction was not committed. Refuses when it was, or none runs."""
    backup = under_way(data_dir)
    if backup is None:
        raise Refusal("no restore is under way")
    if _committed(url, backup):
        raise Interrupted("the database is replaced already: run the same restore again")
    if not json.loads((data_dir / MARK).read_text())["was_held"]:
        integrator.free(data_dir / "log")
    end(data_dir)


def statements(backup: str, *, before: str, now: str) -> str:
    """What is run in the transaction after the dump: the mark, and the paths of this DATA."""
    mark = sql.SQL("comment on schema public is {}").format(sql.Literal(_mark(backup)))
    parts = [mark.as_string(None)]
    for table, column in MOVED:
        moved = sql.SQL(
            "update {t} set {c} = {now} || substr({c}, {length})"
            " where starts_with({c}, {before} || '/')"
        ).format(
            t=sql.Identifier(table),
            c=sql.Identifier(column),
            now=sql.Literal(now),
            before=sql.Literal(before),
            length=sql.Literal(len(before) + 1),
        )
        exists = f"select from pg_class where relname = '{table}'"
        body = moved.as_string(None)
        parts.append(f"do $onym$ begin if exists ({exists}) then {body}; end if; end $onym$")
    return ";\n".join(["set search_path = public", *parts])


def _mark(backup: str) -> str:
    return f"onym restore {backup}"


def _committed(url: str, backup: str) -> bool:
    with psycopg.connect(url) as link:
        row = link.execute(
            "select obj_description('public'::regnamespace, 'pg_namespace')"
        ).fetchone()
    return bool(row and row[0] == _mark(backup))
