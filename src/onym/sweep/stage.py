"""The working copy of an account table: every row of every source, typed, each with its reason
if it is refused. It lies in a database file of its own, so memory stays bounded."""

# ruff: noqa: S608 (names and texts in these statements are quoted by `source.quote` or ours)

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
from duckdb.func import PythonUDFType

from onym.core import errors, names
from onym.sweep import columns
from onym.sweep.columns import COLUMNS, FAULTS
from onym.sweep.source import Source, quote, reading, working

Progress = Callable[[int, int | None], None]

CHUNK_ROWS = 20_000_000  # rows that one search for doubles holds in memory
POLL_SECONDS = 0.2
MARK = "\x01"  # leads a reason where a canonical handle could stand; no handle begins with it
LONGEST_ID = 256
CONTROL = r"[\x00-\x1f\x7f]"
DOUBLES = {"account_id": "duplicate_account_id", "canonical": "duplicate_handle"}

NO_REJECTS = (
    "(SELECT 0 AS file_no, '' AS file, 0 AS row, '' AS account_id, '' AS handle, '' AS reason,"
    " '' AS \"column\" WHERE false)"
)

_numbers = itertools.count(1)


def new_name(stem: str) -> str:
    """A name that nothing else in this process has in the engine."""
    return f"{stem}_{next(_numbers)}"


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` is the attached database, `folder` what lies on the disk for it."""

    con: duckdb.DuckDBPyConnection
    name: str
    folder: Path

    @classmethod
    def create(cls, con: duckdb.DuckDBPyConnection, scratch: Path | None) -> Stage:
        """A fresh working copy under `scratch` (default: the system's folder for such)."""
        folder = Path(tempfile.mkdtemp(prefix="onym-accounts-", dir=scratch))
        stage = cls(con, new_name("onym_stage"), folder)
        try:
            stage._make_tables()
        except BaseException:
            stage.close()
            raise
        return stage

    def _make_tables(self) -> None:
        typed = ", ".join(f"{name} {columns.TYPES[kind]}" for name, kind in COLUMNS.items())
        self.run(f"ATTACH {quote(str(self.folder / 'stage.duckdb'))} AS {self.name}")
        self.run(
            f"CREATE TABLE {self.name}.accounts (file_no INTEGER, row BIGINT, {typed},"
            ' canonical VARCHAR, reason VARCHAR, "column" VARCHAR)'
        )
        self.run(f"CREATE TABLE {self.name}.files (file_no INTEGER, file VARCHAR, first BIGINT)")
        self.run(f"CREATE TABLE {self.name}.dropped (file_no INTEGER, row BIGINT, reason VARCHAR)")

    def run(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Run a statement to its end: an open result would keep the engine from new functions."""
        with working():
            return self.con.execute(query, list(values)).fetchall()

    def count(self, table: str, where: str = "true") -> int:
        return int(self.run(f"SELECT count(*) FROM {table} WHERE {where}")[0][0])

    def close(self) -> None:
        """Give the working copy back; closing twice is closing once."""
        if not self.folder.exists():
            return
        self.run(f"DROP VIEW IF EXISTS {self.name}_accounts")
        self.run(f"DROP VIEW IF EXISTS {self.name}_rejects")
        with suppress(
            OSError, duckdb.Error
        ):  # on a full disk it detaches and then says that it is full
            self.run(f"DETACH DATABASE IF EXISTS {self.name}")
        shutil.rmtree(self.folder)

    def load(
        self, sources: Sequence[Source], rules: names.Profile, progress: Progress | None
    ) -> None:
        """Append every source and mark what is refused. Refuses `malformed` what breaks off."""
        total = sum(each.rows for each in sources)
        done = 0
        _offer_canon(self.con, f"{self.name}_canon", rules)
        for number, each in enumerate(sources):
            with _watched(self.con, progress, done, each.rows, total):
                done += self._add(number, each, rules)
        for column in DOUBLES:
            self._refuse_doubles(column, done)
        if progress:
            progress(total, total)

    def views(self) -> tuple[str, str]:
        """The names of two views: the accounts that stay, and the rows that are refused."""
        listed = ", ".join(COLUMNS)
        self.run(
            f"CREATE VIEW {self.name}_accounts AS SELECT {listed}, canonical,"
            f" handle AS display FROM {self.name}.accounts WHERE reason IS NULL"
        )
        self.run(
            f"CREATE VIEW {self.name}_rejects AS"
            " SELECT a.file_no, f.file, coalesce(a.row, a.rowid - f.first + 1) AS row,"
            " left(a.account_id, 256) AS account_id, left(a.handle, 256) AS handle, a.reason,"
            ' a."column"'
            f" FROM {self.name}.accounts a JOIN {self.name}.files f USING (file_no)"
            " WHERE a.reason IS NOT NULL UNION ALL"
            " SELECT d.file_no, f.file, d.row, NULL, NULL, d.reason, NULL"
            f" FROM {self.name}.dropped d JOIN {self.name}.files f USING (file_no)"
        )
        return f"{self.name}_accounts", f"{self.name}_rejects"

    def reasons(self, rejected: str) -> Mapping[str, int]:
        """How many rows are refused, by reason, in the order of the reasons."""
        return dict(self.run(f"SELECT reason, count(*) FROM {rejected} GROUP BY 1 ORDER BY 1"))

    def _add(self, number: int, each: Source, rules: names.Profile) -> int:
        """Append one source and answer its rows. What an engine cannot read as it is, or not
        completely, is mended and read again."""
        try:
            count = self._insert(number, each, rules)
        except errors.Malformed:
            if each.mended is None:
                raise
            self.run(f"DELETE FROM {self.name}.accounts WHERE file_no = {number}")
            return self._add(number, each.mended(), rules)
        self.run(
            f"INSERT INTO {self.name}.files SELECT {number}, ?, min(rowid)"
            f" FROM {self.name}.accounts WHERE file_no = {number}",
            [each.name],
        )
        if each.dropped is not None:
            self.run(
                f"INSERT INTO {self.name}.dropped SELECT {number}, * FROM read_csv(?,"
                " auto_detect = false, header = false, delim = ',',"
                " columns = {row: 'BIGINT', reason: 'VARCHAR'})",
                [str(each.dropped)],
            )
        return count

    def _insert(self, number: int, each: Source, rules: names.Profile) -> int:
        with reading(each.name):
            self.run(_typed_rows(self.name, number, each, rules))
        count = self.count(f"{self.name}.accounts", f"file_no = {number}")
        if count != each.rows:
            raise errors.Malformed(f"{each.name}: only {count} of {each.rows} rows were found")
        return count

    def _refuse_doubles(self, column: str, rows: int) -> None:
        """Mark all but the first of the rows that share a value, a part of the values at a time."""
        table, parts = f"{self.name}.accounts", 1 + rows // CHUNK_ROWS
        self.run(f"CREATE TEMP TABLE doubles ({column} VARCHAR)")
        for part in range(parts):
            self.run(
                f"INSERT INTO doubles SELECT {column} FROM {table}"
                f" WHERE reason IS NULL AND hash({column}) % {parts} = {part}"
                f" GROUP BY {column} HAVING count(*) > 1"
            )
        self.run(
            f"UPDATE {table} SET reason = '{DOUBLES[column]}' WHERE rowid IN (SELECT place FROM"
            f" (SELECT rowid AS place,"
            f" row_number() OVER (PARTITION BY {column} ORDER BY rowid) AS n"
            f" FROM {table} WHERE reason IS NULL AND {column} IN (FROM doubles)) WHERE n > 1)"
        )
        self.run("DROP TABLE doubles")


def _typed_rows(stage: str, number: int, each: Source, rules: names.Profile) -> str:
    """The statement that appends a source: raw values, typed ones, canonical form, reason."""
    raws = ", ".join(f"{expression} AS raw_{name}" for name, (expression, _) in each.raws.items())
    read = ", ".join(
        f"{columns.read(COLUMNS[name], f'raw_{name}', type_)} AS {name}"
        for name, (_, type_) in each.raws.items()
    )
    values = ", ".join(name if name in each.raws else "NULL" for name in COLUMNS)
    return (
        f"INSERT INTO {stage}.accounts SELECT {number}, row, {values},"
        " CASE WHEN reason IS NULL THEN found END, reason,"
        f" CASE WHEN starts_with(reason, 'un') THEN {_column(each.raws)} END"
        f" FROM (SELECT *, {_reason(each.raws)} AS reason"
        f" FROM (SELECT *, {_canonical(f'{stage}_canon', rules)} AS found"
        f" FROM (SELECT *, {read}"
        f" FROM (SELECT {each.row} AS row, {each.fault} AS fault, {raws} FROM {each.relation}))))"
    )


def _canonical(function: str, rules: names.Profile) -> str:
    """ASCII that fits is lowered in SQL; everything else, refusals too, is for `names.canon`."""
    plain = rules.pattern if rules.case is names.Case.ASCII else "[a-z0-9]+"
    fits = (
        f"strlen(handle) BETWEEN {rules.shortest} AND {rules.longest}"
        f" AND strlen(handle) = length(handle)"
        f" AND regexp_full_match(handle, {quote(f'(?i:{plain})')})"
    )
    return (
        f"CASE WHEN {fits} THEN lower(handle) WHEN handle IS NOT NULL THEN {function}(handle) END"
    )


def _reason(raws: Mapping[str, tuple[str, str]]) -> str:
    """The first thing that is wrong with a row, cheap and permanent faults first."""
    unread = "".join(
        f" WHEN raw_{name} IS NOT NULL AND {name} IS NULL THEN '{FAULTS[COLUMNS[name]]}'"
        for name in raws
        if COLUMNS[name] in FAULTS
    )
    texts = [name for name in raws if COLUMNS[name] == "text"]
    nul = " OR ".join(f"contains({name}, chr(0))" for name in texts)
    return (
        "CASE WHEN fault IS NOT NULL THEN fault"
        " WHEN account_id IS NULL THEN 'account_id_missing'"
        f" WHEN length(account_id) > {LONGEST_ID} OR regexp_matches(account_id, '{CONTROL}')"
        " THEN 'account_id_malformed'"
        " WHEN handle IS NULL THEN 'handle_missing'"
        f" WHEN starts_with(found, {quote(MARK)}) THEN substr(found, 2)"
        f" WHEN {nul} THEN 'row_nul'{unread} END"
    )


def _column(raws: Mapping[str, tuple[str, str]]) -> str:
    """Which column could not be read, for the reasons `unreadable_…` and `unknown_…`."""
    unread = "".join(
        f" WHEN raw_{name} IS NOT NULL AND {name} IS NULL THEN '{name}'"
        for name in raws
        if COLUMNS[name] in FAULTS
    )
    return f"CASE{unread} END" if unread else "NULL"


def _offer_canon(con: duckdb.DuckDBPyConnection, function: str, rules: names.Profile) -> None:
    def canon(handles: pa.ChunkedArray) -> pa.Array:
        found = [_canon(handle, rules) for handle in handles.to_pylist()]
        return pa.array(found, pa.string())

    con.create_function(function, canon, ["varchar"], "varchar", type=PythonUDFType.ARROW)


def _canon(handle: str, rules: names.Profile) -> str:
    try:
        return names.canon(handle, rules)
    except errors.HandleMalformed:
        fits = rules.shortest <= len(handle) <= rules.longest
        return MARK + ("handle_character" if fits else "handle_length")


@contextmanager
def _watched(
    con: duckdb.DuckDBPyConnection, progress: Progress | None, done: int, rows: int, total: int
) -> Iterator[None]:
    """Tell `progress` how far the engine is with its `rows` while the block runs."""
    if progress is None:
        yield
        return
    stop = threading.Event()

    def poll(report: Progress) -> None:
        while not stop.wait(POLL_SECONDS):
            percent = max(con.query_progress(), 0.0)
            report(done + int(rows * percent / 100), total)

    con.execute("SET enable_progress_bar = true").fetchall()
    con.execute("SET enable_progress_bar_print = false").fetchall()
    thread = threading.Thread(target=poll, args=(progress,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
