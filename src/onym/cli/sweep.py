"""`onym sweep`: every account of a table under one policy; findings, rejects and a manifest.

docs/guides/sweep.md walks through one. It asks no database.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import duckdb

from onym.cli import policy as policies
from onym.core import errors, names
from onym.core.lexicon import Lexicon
from onym.core.policy import Policy
from onym.sweep import engines, progress, source, sweeping
from onym.sweep import lexicon as lexicons
from onym.sweep.accounts import DEFAULT_PROFILE, open_accounts

POLL_SECONDS = 0.2


@click.command("sweep")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--policy", required=True, metavar="ID_OR_FILE", help="A built-in id, or a file.")
@click.option(
    "--as-of",
    type=policies.Instant(),
    required=True,
    metavar="INSTANT",
    help="A date, or an instant with its offset.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where files go.")
@policies.map_option
@policies.profile_option
@click.option(
    "--engine",
    type=click.Choice(engines.ENGINES),
    default="duckdb",
    help="What computes; the digests are equal.",
)
@click.option(
    "--protected", type=click.Path(path_type=Path), metavar="FILE", help="Protected handles."
)
@click.option(
    "--reserved", type=click.Path(path_type=Path), metavar="FILE", help="Reserved handles."
)
@click.option(
    "--lexicon",
    "words",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Words for tiers and appraisals; default: that of DATA, if there is one.",
)
@click.option(
    "--appraise/--no-appraise", default=True, help="Without: tiers know words, not phrases."
)
@click.option("--dry-run", is_flag=True, help="Count verdicts and write nothing.")
@click.option(
    "--progress",
    "progress_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the per cent done are written meanwhile.",
)
@policies.json_option
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Where DATA's lexicon is."
)
def command(
    inputs: tuple[Path, ...],
    policy: str,
    as_of: datetime,
    out: Path | None,
    mapping: Mapping[str, str],
    profile: str | None,
    engine: str,
    protected: Path | None,
    reserved: Path | None,
    words: Path | None,
    appraise: bool,
    dry_run: bool,
    progress_file: Path | None,
    as_json: bool,
    data: Path | None,
) -> None:
    """Assess every account of INPUT… under a policy.

    Writes findings-0000.parquet, …, rejects.csv and manifest.json to --out; rejected rows do not
    change the exit code.

    \b
    Example:
      onym sweep accounts.csv --policy x-2023 --as-of 2026-11-20 --out findings
    """
    if out is None and not dry_run:
        raise click.UsageError("name --out, or ask for a --dry-run")
    judged = policies.load(policy)
    rules = names.profile(profile or judged.profile or DEFAULT_PROFILE)
    asked = sweeping.Sweep(
        policy=judged,
        as_of=as_of,
        engine=engine,
        protected=_handles(protected, rules),
        reserved=_handles(reserved, rules),
        lexicon=_lexicon(words, data),
        appraised=appraise,
    )
    bar = _Bar(shown=sys.stderr.isatty() and not as_json, file=progress_file)
    body = _sweep(inputs, asked, None if dry_run else out, mapping, rules.name, bar)
    click.echo(json.dumps(body, ensure_ascii=False) if as_json else _told(body, judged, out))


def _sweep(
    inputs: tuple[Path, ...],
    asked: sweeping.Sweep,
    out: Path | None,
    mapping: Mapping[str, str],
    profile: str,
    bar: _Bar,
) -> dict[str, Any]:
    with (
        source.working(),
        _scratch(out) as scratch,
        engines.connected(scratch) as con,
        bar,
        open_accounts(
            con,
            inputs,
            mapping=mapping,
            profile=profile,
            scratch=scratch,
            progress=bar.read,
        ) as accounts,
    ):
        bar.total(accounts.rows)
        with bar.assessing(con):
            return sweeping.run(accounts, asked, out, scratch=scratch, progress=bar.wrote)


@contextlib.contextmanager
def _scratch(out: Path | None) -> Iterator[Path]:
    """A working folder on the disk of `out`: what does not fit there must not fill another one."""
    beside = out.absolute().parent if out else None
    while beside is not None and not beside.exists():
        beside = beside.parent
    with tempfile.TemporaryDirectory(prefix=".onym-sweep-", dir=beside) as name:
        yield Path(name)


def _handles(path: Path | None, rules: names.Profile) -> list[str]:
    """The canonical handles of a list, one a line; lines that start with # are comments."""
    if path is None:
        return []
    handles = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise errors.Malformed(f"{path}: this is not a text in UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            try:
                handles.append(names.canon(line.strip(), rules))
            except errors.HandleMalformed as refusal:
                raise errors.HandleMalformed(f"{path}:{number}: {refusal.detail}") from None
    return handles


def _lexicon(given: Path | None, data: Path | None) -> Lexicon | None:
    if given is not None:
        return lexicons.load(given)
    path = (data or Path(os.environ.get("ONYM_DATA") or "data")) / lexicons.FILE_NAME
    return lexicons.load(path) if lexicons.fresh(path) else None


def _told(body: Mapping[str, Any], policy: Policy, out: Path | None) -> str:
    rows, told = body["rows"], body["policy"]
    lines = [f"{rows:,} accounts under {told['id']} version {told['version']} at {body['as_of']}"]
    for verdict, count in body["verdicts"].items():
        lines.append(f"  {verdict:<10} {count:>15,}  {100 * count / rows if rows else 0:5.1f} %")
    lines.append(f"{body['rejects']:,} rows rejected")
    lines += [f"  {why:<22} {count:>12,}" for why, count in body["rejects_by_reason"].items()]
    if body["missing"]:
        lines.append(f"missing columns, unknown for every account: {', '.join(body['missing'])}")
    if body["protecting"]:
        absent = ", ".join(body["protecting"])
        lines.append(f"  of these, {policy.id} protects or keeps every account for: {absent}")
    if body["ignored"]:
        lines.append(f"ignored columns: {', '.join(body['ignored'])}")
    if body["appraisal_base"] is None:
        lines.append("not appraised")
    if out is not None and body["partitions"]:
        count = len(body["partitions"])
        lines.append(f"{out}: manifest.json and {count} file{'s' * (count > 1)} of findings")
    return "\n".join(lines)


class _Bar:
    """Progress with the time left on a terminal, and in per cent in a file, where one is asked for.

    A row counts three times: once read, once assessed, once written or found to need no writing.
    """

    def __init__(self, *, shown: bool, file: Path | None = None) -> None:
        self._shown = shown
        self._file = file
        self._rows = 0
        self._done = 0
        self._bar: Any = None
        self._watch: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def total(self, rows: int) -> None:
        self._rows = rows
        self._to(rows, 3 * rows)

    def read(self, done: int, total: int | None) -> None:
        self._to(done, 3 * (total or done))

    @contextlib.contextmanager
    def assessing(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Follow the engine until its first finding arrives."""
        if not self._shown and self._file is None:
            yield
            return
        con.execute("SET enable_progress_bar = true").fetchall()
        con.execute("SET enable_progress_bar_print = false").fetchall()
        stop = threading.Event()
        thread = threading.Thread(target=self._follow, args=(con, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        self._to(3 * self._rows, 3 * self._rows)

    def _follow(self, con: duckdb.DuckDBPyConnection, stop: threading.Event) -> None:
        while not stop.wait(POLL_SECONDS):
            percent = max(con.query_progress(), 0.0)
            self._to(self._rows + int(self._rows * percent / 100), 3 * self._rows)

    def wrote(self, done: int) -> None:
        self._to(2 * self._rows + done, 3 * self._rows)

    def _to(self, done: int, total: int) -> None:
        done = min(done, total)
        if done <= self._done or not total:
            return
        if self._file is not None and 100 * done // total > 100 * self._done // total:
            progress.write(self._file, 100 * done // total)
        if self._shown:
            self._draw(done, total)
        self._done = done

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(length=total, label="accounts", file=sys.stderr)
        self._bar.length = total
        self._bar.update(done - self._done)
