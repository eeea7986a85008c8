"""One source file of an account table: which of its columns mean what, as SQL the engine reads.

CSV, JSON Lines and Parquet; text files are surveyed first and mended when an engine could not be
trusted with them (onym.sweep.lines).
"""

# ruff: noqa: S608 (names and texts in these statements are quoted by `source.quote` or ours)

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from onym.core import errors
from onym.sweep import columns, lines

FORMS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MOST_KEYS = 1_000
UNIT = "\x1f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that can be read.

    `raws` maps a column to its SQL expression and engine type; `row` is the expression of a row's
    number (NULL: its place), `fault` that of what is wrong with the row as such. `dropped` is a
    CSV of row and reason. `mended` reads the file again from a mended copy.
    """

    name: str
    rows: int
    relation: str
    raws: Mapping[str, tuple[str, str]]
    ignored: tuple[str, ...]
    row: str = "NULL"
    fault: str = "NULL"
    dropped: Path | None = None
    mended: Callable[[], Source] | None = None


def open_source(
    con: duckdb.DuckDBPyConnection, path: Path, link: Path, *, mapping: Mapping[str, str]
) -> Source:
    """Look at `path` through `link`, a name of ours without wildcards.

    Refuses `malformed` a file that is missing, empty, cut off, or lacks a column it needs.
    """
    head = _head(path)
    link.symlink_to(path.resolve())
    form = "parquet" if head == b"PAR1" else FORMS.get(path.suffix.lower())
    if form == "parquet":
        return _parquet(con, path, link, mapping)
    if form == "jsonl" or (form is None and head.lstrip().startswith(b"{")):
        return _jsonl(con, path, link, mapping)
    return _csv(path, link, mapping)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise errors.Malformed(f"{path}: there is no such file") from error
    except OSError as error:
        raise errors.Malformed(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise errors.Malformed(f"{path.name}: the file is empty")
    return head


def _csv(path: Path, link: Path, mapping: Mapping[str, str]) -> Source:
    delimiter, names = lines.header(path)
    survey = lines.survey(path, quoted=True)
    if survey.clean and survey.rows < 2:
        raise errors.Malformed(f"{path.name}: a header and no rows")
    found, ignored = _match(path.name, names, mapping)
    raws = {name: (f"nullif(c{index}, '')", "VARCHAR") for name, index in found.items()}
    fields = [f"c{index}" for index in range(len(names))]

    def mended() -> Source:
        copy, dropped, kept = _mend(
            path,
            link,
            lambda out, drop: lines.mend_csv(
                path, out, delimiter=delimiter, width=len(names), drop=drop
            ),
        )
        relation = _read_csv(copy, ["n", *fields], delimiter=",", header=False)
        return Source(
            name=path.name, rows=kept, relation=relation, raws=raws, ignored=ignored,
            row="CAST(n AS BIGINT)", dropped=dropped,
        )  # fmt: skip

    if not survey.clean:
        return mended()
    relation = _read_csv(link, fields, delimiter=delimiter, header=True)
    return Source(
        name=path.name, rows=survey.rows - 1, relation=relation, raws=raws, ignored=ignored,
        mended=mended,
    )  # fmt: skip


def _jsonl(
    con: duckdb.DuckDBPyConnection, path: Path, link: Path, mapping: Mapping[str, str]
) -> Source:
    survey = lines.survey(path, quoted=False)
    rows, dropped, text, fields, row = survey.rows, None, link, ["line"], "NULL"
    if not survey.clean:
        text, dropped, rows = _mend(
            path, link, lambda out, drop: lines.mend_lines(path, out, drop=drop)
        )
        fields, row = ["n", "line"], "CAST(n AS BIGINT)"
    relation = _read_csv(text, fields, delimiter=UNIT, header=False, quotes="")
    with reading(path.name):
        keys = con.execute(
            f"SELECT DISTINCT unnest({_if_json('json_keys(line)')}) FROM {relation}"
            f" LIMIT {MOST_KEYS + 1}"
        ).fetchall()
    if len(keys) > MOST_KEYS:
        raise errors.Malformed(f"{path.name}: more than {MOST_KEYS} different keys")
    names = sorted(key for (key,) in keys)
    found, ignored = _match(path.name, names, mapping)
    raws = {name: (f"v[{place + 1}]", "VARCHAR") for place, name in enumerate(found)}
    pointers = ", ".join(_pointer(names[index]) for index in found.values())
    is_object = _if_json("json_type(line) = 'OBJECT'")
    checked = f"(SELECT *, coalesce({is_object}, false) AS ok FROM {relation})"
    values = (
        f"CASE WHEN ok THEN list_transform(list_zip(json_extract_string(line, [{pointers}]),"
        f" json_type(line, [{pointers}])), lambda p:"
        " CASE WHEN p[2] NOT IN ('OBJECT', 'ARRAY') THEN nullif(p[1], '') END) END"
    )
    return Source(
        name=path.name, rows=rows, raws=raws, ignored=ignored, row=row, dropped=dropped,
        relation=f"(SELECT *, {values} AS v FROM {checked})",
        fault="CASE WHEN NOT ok THEN 'row_json' END",
    )  # fmt: skip


def _parquet(
    con: duckdb.DuckDBPyConnection, path: Path, link: Path, mapping: Mapping[str, str]
) -> Source:
    relation = f"read_parquet({quote(str(link))}, binary_as_string = true)"
    with reading(path.name):
        described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        count = con.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(link)]).fetchall()
    if not count or count[0][0] == 0:
        raise errors.Malformed(f"{path.name}: no rows")
    names = [str(row[0]) for row in described]
    found, ignored = _match(path.name, names, mapping)
    raws = {
        name: _typed(columns.COLUMNS[name], names[index], str(described[index][1]))
        for name, index in found.items()
    }
    return Source(
        name=path.name, rows=int(count[0][0]), relation=relation, raws=raws, ignored=ignored
    )


def _typed(kind: columns.Kind, name: str, type_: str) -> tuple[str, str]:
    quoted = '"' + name.replace('"', '""') + '"'
    if columns.direct(kind, type_):
        return quoted, type_
    return f"nullif(CAST({quoted} AS VARCHAR), '')", "VARCHAR"


def _match(
    file: str, names: Sequence[str], mapping: Mapping[str, str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Column → place of its source; and the source columns that nothing reads."""
    for column, name in mapping.items():
        if column not in columns.COLUMNS:
            raise errors.Malformed(f"--map: {column!r} is no column of an account table")
        if name not in names:
            raise errors.Malformed(f"{file}: no column {name!r} to map to {column!r}")
    places = {name: place for place, name in enumerate(names)}
    wanted = {column: mapping.get(column, column) for column in columns.COLUMNS}
    found = {column: places[name] for column, name in wanted.items() if name in places}
    for column in ("account_id", "handle"):
        if column not in found:
            raise errors.Malformed(f"{file}: no column {column!r}; name one with --map {column}=…")
    read = set(found.values())
    return found, tuple(name for place, name in enumerate(names) if place not in read)


def _mend(
    path: Path, link: Path, copy: Callable[[Path, lines.Drop], int]
) -> tuple[Path, Path, int]:
    out, dropped = link.with_suffix(".mended"), link.with_suffix(".dropped")
    with dropped.open("w", encoding="utf-8", newline="") as file:
        kept = copy(out, lambda row, why: print(row, why, sep=",", file=file))
    if kept == 0 and dropped.stat().st_size == 0:
        raise errors.Malformed(f"{path.name}: no rows")
    return out, dropped, kept


def _read_csv(
    path: Path, fields: Sequence[str], *, delimiter: str, header: bool, quotes: str = '"'
) -> str:
    types = ", ".join(f"{field}: 'VARCHAR'" for field in fields)
    escape = f"quote = {quote(quotes)}, escape = {quote(quotes)}"
    return (
        f"read_csv({quote(str(path))}, auto_detect = false, delim = {quote(delimiter)}, {escape},"
        f" header = {str(header).lower()}, columns = {{{types}}}, max_line_size = {lines.ENGINE})"
    )


def _if_json(expression: str) -> str:
    # Only CASE keeps the engine from asking invalid JSON for its parts, and failing.
    return f"CASE WHEN json_valid(line) THEN {expression} END"


def _pointer(key: str) -> str:
    return quote("/" + key.replace("~", "~0").replace("/", "~1"))


def file_name(path: Path) -> str:
    """A path as a literal of the engine, its wildcards taken as they stand."""
    return quote(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def quote(value: str) -> str:
    """A string literal of the engine."""
    return "'" + value.replace("'", "''") + "'"


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever the engine says about a file becomes a refusal that names the file."""
    try:
        with working():
            yield
    except duckdb.Error as error:
        first = str(error).splitlines()[0].strip()
        raise errors.Malformed(f"{name}: cannot be read to its end ({first})") from error


@contextmanager
def working() -> Iterator[None]:
    """A disk that is full becomes the same error whoever notices it, the engine or Python."""
    try:
        yield
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise
