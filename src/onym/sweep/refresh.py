"""A new account table from what the platform tells now and what the last directory knew.

Everything is done on files, so that neither the list nor the directory need fit into memory.
"""

# ruff: noqa: S608 (every name in these statements is ours)

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from onym.sweep import blocks, directory
from onym.sweep.columns import COLUMNS, TYPES
from onym.sweep.directory import Seal
from onym.sweep.source import file_name, working

_ROWS = "read_json({file}, format='newline_delimited', columns={columns})"
_READ = {name: TYPES[kind] for name, kind in COLUMNS.items()}
_KEPT = ", ".join(f"{'c.email' if name == 'email' else 'k.' + name}" for name in COLUMNS)


def told(path: Path) -> str:
    """A file of rows, a JSON object a line, as a table of the engine."""
    return _ROWS.format(file=file_name(path), columns=json.dumps(_READ).replace('"', "'"))


def told_twice(rows: Path) -> Sequence[str]:
    """The accounts whose handle some other row claims, too, and those that are listed twice."""
    table = told(rows)
    doubles = f"SELECT lower(handle) FROM {table} GROUP BY 1 HAVING count(*) > 1"
    with working(), duckdb.connect() as con:
        found = con.execute(
            f"SELECT DISTINCT account_id FROM {table} WHERE lower(handle) IN ({doubles}) ORDER BY 1"
        ).fetchall()
    return [account_id for (account_id,) in found]


def reused(rows: Path, known: Path) -> Mapping[str, str]:
    """account id → when it was made, where that is another instant than the directory `known` has:
    the platform has given the id to somebody else."""
    kept = f"read_parquet({file_name(known / directory.TABLE)})"
    with working(), duckdb.connect() as con:
        found = con.execute(
            f"SELECT t.account_id, strftime(k.created_at, '%Y-%m-%dT%H:%M:%SZ') "
            f"FROM {told(rows)} t JOIN {kept} k USING (account_id) "
            "WHERE t.created_at <> k.created_at ORDER BY 1"
        ).fetchall()
    return dict(found)


def without(rows: Path, left_out: Sequence[str]) -> None:
    """Take the rows of these accounts out of the file."""
    unwanted = set(left_out)
    part = rows.with_suffix(".part")
    with rows.open() as read, part.open("w") as write:
        write.writelines(line for line in read if json.loads(line)["account_id"] not in unwanted)
    part.replace(rows)


def unchanged(
    rows: Path, known: Path, to: Path, *, open_: Seal | None, left_out: Sequence[str]
) -> None:
    """Write the directory's accounts that `rows` does not tell anew to the Parquet file `to`."""
    contacts = to.with_suffix(".contacts")
    contacts.write_text("")
    _write_contacts(known, contacts, open_)
    columns = "{'account_id': 'VARCHAR', 'email': 'VARCHAR'}"
    mails = f"read_json({file_name(contacts)}, format='newline_delimited', columns={columns})"
    kept = f"read_parquet({file_name(known / directory.TABLE)})"
    try:
        with working(), duckdb.connect() as con:
            con.execute("CREATE TABLE gone (account_id VARCHAR)")
            con.executemany("INSERT INTO gone VALUES (?)", [[name] for name in left_out] or [[""]])
            con.execute(
                f"COPY (SELECT {_KEPT} FROM {kept} k LEFT JOIN {mails} c USING (account_id) "
                f"WHERE account_id NOT IN (SELECT account_id FROM {told(rows)}) "
                "AND account_id NOT IN (SELECT account_id FROM gone) ORDER BY account_id) "
                f"TO {file_name(to)} (FORMAT PARQUET)"
            ).fetchall()
    finally:
        contacts.unlink()


def _write_contacts(known: Path, to: Path, open_: Seal | None) -> None:
    if open_ is None or not (known / directory.CONTACTS).exists():
        return
    with to.open("w") as out:
        for account_id, email in _contacts(known, open_):
            out.write(json.dumps({"account_id": account_id, "email": email}) + "\n")


def _contacts(known: Path, open_: Seal) -> Iterator[tuple[str, str]]:
    sealed = blocks.Blocks(known / directory.CONTACTS, open_=open_)
    for _, row in sealed.rows_from(0):
        pair, _, email = row.partition(b"\t")
        yield json.loads(pair)[0], json.loads(email)
