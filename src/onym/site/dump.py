"""PostgreSQL's own programs for carrying a database: pg_dump, pg_restore and psql.

Taken beside the embedded server's, else from the system; never older than the server they speak to.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import conninfo_to_dict

from onym.core.errors import DatabaseUnavailable, Refusal
from onym.site import embedded

QUIETLY = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
PROGRAMS = ("pg_dump", "pg_restore", "psql")
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


class DumpFailed(Refusal):
    status, code, title = 503, "dump_failed", "PostgreSQL's programs could not carry the database"


def version(url: str) -> int:
    """The server's major version."""
    try:
        with psycopg.connect(url, connect_timeout=10) as link:
            return link.info.server_version // 10_000
    except psycopg.Error as fault:
        line = (str(fault).strip().splitlines() or ["no answer"])[0]
        raise DatabaseUnavailable(f"the database does not answer: {line}") from None


def programs(server: int) -> tuple[Path, int]:
    """The folder with all three, and their major: the server's own, else the next newer.

    Refuses `dump_failed` when there are none.
    """
    found = {_major(folder): folder for folder in reversed(list(_folders()))}
    for major in sorted(major for major in found if major >= server):
        return found[major], major
    raise DumpFailed(
        f"pg_dump of version {server} or newer was not found: install postgresql-client-{server}, "
        "or set ONYM_PG_BIN"
    )


def _folders() -> Iterator[Path]:
    """Every folder that has all three programs, the most wanted first."""
    wanted = [embedded.wheel(), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    if setting := os.environ.get("ONYM_PG_BIN"):
        wanted.insert(0, Path(setting))
    if path := shutil.which("pg_dump"):
        wanted.append(Path(path).resolve().parent)
    for folder in wanted:
        if folder and all((folder / name).exists() for name in PROGRAMS):
            yield folder


def _major(folder: Path) -> int:
    command = [str(folder / "pg_dump"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    digits = [word for word in said.replace(".", " ").split() if word.isdigit()]
    return int(digits[0]) if digits else 0


def take(url: str, *, folder: Path, into: Path) -> None:
    """The whole database in pg_dump's custom format: one snapshot, nobody waits."""
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={into}"]
    _run([str(folder / "pg_dump"), *options], url)


def load(url: str, *, folder: Path, dump: Path, after: str) -> None:
    """Replace everything in the schema `public` by the dump, then run `after`: one transaction.

    It is committed only once pg_restore has read the dump to its end.
    """
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as reasons:
        reading = subprocess.Popen(  # noqa: S603 - PostgreSQL's own
            [str(folder / "pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(dump)],
            stdout=subprocess.PIPE,
            stderr=reasons,
        )
        writing = subprocess.Popen(  # noqa: S603 - PostgreSQL's own
            [str(folder / "psql"), *QUIETLY],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=words,
            env=_environment(url),
        )
        _carry(reading, writing, after)
        if reading.returncode:
            raise _failed(_text(reasons))
        if writing.returncode:
            raise _failed(_text(words))


def _carry(reading: subprocess.Popen[bytes], writing: subprocess.Popen[bytes], after: str) -> None:
    """From one to the other; without the commit at its end nothing has happened."""
    source, target = reading.stdout, writing.stdin
    if source is None or target is None:
        raise DumpFailed("there is no pipe")
    with source:
        try:
            with target:
                target.write(b"begin;\ndrop schema public cascade;\ncreate schema public;\n")
                shutil.copyfileobj(source, target)
                if reading.wait() == 0:
                    target.write(f"\n{after};\ncommit;\n".encode())
        except BrokenPipeError:
            reading.kill()  # psql has stopped and says why
    writing.wait()
    if reading.wait() < 0:
        reading.returncode = 0


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _run(command: Sequence[str], url: str) -> None:
    """A password stays out of the list of processes: the address goes by environment."""
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(url),
    )
    if done.returncode != 0:
        raise _failed(done.stderr)


def _environment(url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    told = conninfo_to_dict(url)
    return kept | {_VARIABLES[k]: str(v) for k, v in told.items() if k in _VARIABLES}


def _failed(said: str) -> Exception:
    """What the caller is told: a full disk by its own name, whatever else by its line."""
    if "No space left on device" in said:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return DumpFailed(_last(said))


def _last(said: str) -> str:
    """The line that says why."""
    lines = said.strip().splitlines()
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or ["it stopped without a word"])[0]
