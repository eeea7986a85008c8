"""Account tables: an operator's accounts, read from files, checked row by row, typed.

A row that cannot be believed goes to the rejects with its reason and the rest goes on; a file
that cannot be read is refused as a whole (docs/reference/account-table.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from onym.core import errors, names
from onym.sweep import columns, directory, source
from onym.sweep import stage as stages
from onym.sweep.stage import Progress, Stage

DEFAULT_PROFILE = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """An open account table. Close it, or leave its `with` block, to free the working copy.

    `table` names a view with every column of `columns.COLUMNS`, then `canonical` and `display`;
    `rejects` counts refused rows by reason; `ignored` are source columns that nothing reads;
    `missing` are columns that no file had.
    """

    con: duckdb.DuckDBPyConnection
    table: str
    profile: str
    rows: int
    rejects: Mapping[str, int]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    rejected: str
    close: Callable[[], None] = field(repr=False)

    def __enter__(self) -> Accounts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_rejects(self, path: Path) -> None:
        """Write file, row, account_id, handle, reason and column of every refused row.

        Parquet when the name ends so, else CSV; complete or not at all. Rows count from 1 after
        the header, empty lines not counted.
        """
        form = "PARQUET" if path.suffix == ".parquet" else "CSV, HEADER"
        part = path.with_name(f".{path.name}.part")
        rows = f'SELECT file, row, account_id, handle, reason, "column" FROM {self.rejected}'  # noqa: S608
        with source.working():
            self.con.execute(
                f"COPY ({rows} ORDER BY file_no, row) TO ? (FORMAT {form})", [str(part)]
            ).fetchall()
        os.replace(part, path)


def open_accounts(
    con: duckdb.DuckDBPyConnection,
    inputs: Sequence[Path],
    *,
    mapping: Mapping[str, str],
    profile: str | None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Accounts:
    """Read `inputs` as one account table into a working copy under `scratch` and check each row.

    `mapping` is column → source column; `profile` None is the built-in default. Of rows with one
    account_id, and then of accounts with one canonical handle, the first stays, in the order of
    the files and their rows. `progress` is told rows done and rows in all. Refuses `malformed` a
    file that cannot be read; then nothing is left behind. The folder of a directory snapshot is
    an input too; alone and under its own profile it is read in place, since it was checked before.
    """
    if not inputs:
        raise errors.Malformed("no account table was named")
    if len(inputs) == 1 and inputs[0].is_dir() and not mapping:
        known = directory.read_manifest(inputs[0])
        if profile in (None, known.profile):
            return _imported(con, known)
    rules = names.profile(profile or DEFAULT_PROFILE)
    stage = Stage.create(con, scratch)
    try:
        return _load(stage, inputs, mapping, rules, progress)
    except BaseException:
        stage.close()
        raise


def _file(path: Path) -> Path:
    return path / directory.TABLE if path.is_dir() else path


def _imported(con: duckdb.DuckDBPyConnection, known: directory.Snapshot) -> Accounts:
    """A view on the table of a snapshot: no copy, no checks, no rejects."""
    view = stages.new_name("onym_directory")
    hidden = "CAST(NULL AS VARCHAR) AS email"
    listed = ", ".join(hidden if name == "email" else name for name in columns.COLUMNS)
    file = source.file_name(known.path / directory.TABLE)
    with source.reading(str(known.path)):
        con.execute(
            f"CREATE VIEW {view} AS SELECT {listed}, canonical, handle AS display"  # noqa: S608
            f" FROM read_parquet({file})"
        ).fetchall()

    def close() -> None:
        con.execute(f"DROP VIEW IF EXISTS {view}").fetchall()

    return Accounts(
        con=con,
        table=view,
        profile=known.profile,
        rows=known.rows,
        rejects={},
        ignored=(),
        missing=known.missing,
        rejected=stages.NO_REJECTS,
        close=close,
    )


def _load(
    stage: Stage,
    inputs: Sequence[Path],
    mapping: Mapping[str, str],
    rules: names.Profile,
    progress: Progress | None,
) -> Accounts:
    sources = [
        source.open_source(stage.con, _file(path), stage.folder / f"{number}.in", mapping=mapping)
        for number, path in enumerate(inputs)
    ]
    stage.load(sources, rules, progress)
    table, rejected = stage.views()
    ignored = dict.fromkeys(name for each in sources for name in each.ignored)
    had = {name for each in sources for name in each.raws}
    return Accounts(
        con=stage.con,
        table=table,
        profile=rules.name,
        rows=stage.count(table),
        rejects=stage.reasons(rejected),
        ignored=tuple(ignored),
        missing=tuple(name for name in columns.COLUMNS if name not in had),
        rejected=rejected,
        close=stage.close,
    )
