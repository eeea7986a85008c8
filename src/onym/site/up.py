"""`onym up`: the whole of Onym on one machine, under one supervisor."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import click

from onym.core.errors import Refusal
from onym.site import command as commands
from onym.site import database, embedded, outside, restoring
from onym.site.supervisor import Child, Supervisor

BLOCKING_THREADS = 64  # those that wait become one batch, see flows/batching.py
POOL = 16  # database connections a web worker
HOST = "127.0.0.1"


class PortInUse(Refusal):
    status, code, title = 503, "port_in_use", "Another program listens on that port"


class AlreadyRunning(Refusal):
    status, code, title = 409, "already_running", "Onym already runs on this DATA"


@click.command("up")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8000,
    show_default=True,
    help="Port to listen on, the streams on the next; 0 takes two that are free, and keeps them.",
)
@click.option("--host", default=HOST, show_default=True, help="Address to listen on.")
@click.option("--demo/--no-demo", default=False, help="With the demo's outside world.")
@click.option(
    "--platform",
    type=click.Choice(["plaza", "pds"]),
    help="The demo's platform: our own, or a real Bluesky PDS.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, help="Web processes.")
def command(port: int, host: str, demo: bool, platform: str | None, workers: int) -> None:
    """Run everything until Ctrl-C: database, web, streams (port + 1) and jobs.

    \b
    Example:
      onym up --demo --port 8000
    """
    data_dir = embedded.data_directory()
    (data_dir / "run").mkdir(parents=True, exist_ok=True)
    restoring.expect_none(data_dir)
    with _alone(data_dir):
        port = port or outside.free_pair(data_dir / "run" / "port", host)
        for wanted in (port, port + 1):
            if not outside.free(wanted, host):
                raise PortInUse(f"port {wanted} is in use; choose another with --port")
        supervisor = Supervisor(data_dir)
        try:
            chosen = outside.platform(data_dir, platform) if demo else None
            run(supervisor, port=port, host=host, platform=chosen, workers=workers)
        finally:
            supervisor.stop()


command.params.append(commands.data_option())


def run(
    supervisor: Supervisor, *, port: int, host: str, platform: str | None, workers: int
) -> None:
    """Start in order (outside world, database, tables, ourselves, first start), then keep it.

    `platform` is the demo's; None: there is no demo.
    """
    data_dir = supervisor.data_dir
    base = os.environ.get("ONYM_BASE_URL") or f"http://{HOST}:{port}"
    shared = _environment(data_dir, base, port)
    world: list[Child] = []
    if platform:
        where = outside.ports(data_dir)
        shared |= outside.environment(data_dir, where, base, platform)
        outside.forget_stale(data_dir, base, shared)
        outside.begin_in_the_past(data_dir, platform)
        world = outside.children(data_dir, where, shared, platform)
    database.keep_environment(data_dir, shared)
    counted = data_dir / "run" / "metrics" / socket.gethostname()
    shutil.rmtree(counted, ignore_errors=True)  # by processes that are gone
    for child in world:
        supervisor.start(child)
    shared["DATABASE_URL"] = _database(supervisor)
    supervisor.once("migrate", _python("onym.site.command", "migrate"), shared)
    own = ourselves(shared, port=port, host=host, workers=workers)
    for child in own:
        supervisor.start(child)
    supervisor.await_answers(*world, *own)
    if platform and importlib.util.find_spec("onym.site.demo"):
        supervisor.once("demo", _python("onym.site.demo"), shared)
    if not supervisor.stopping:
        announce(base, data_dir if platform else None, shared)
    supervisor.keep()


def ourselves(shared: Mapping[str, str], *, port: int, host: str, workers: int) -> list[Child]:
    """Web, streams and jobs."""
    common = ["--host", host, "--no-ws", "--http", "1", "--log-level", "warning"]
    web = _python("granian", "--interface", "wsgi", "--port", str(port), *common)
    web += ["--workers", str(workers), "--blocking-threads", str(BLOCKING_THREADS)]
    web += ["--workers-kill-timeout", "2", "--backlog", "1024", "onym.site.wsgi:application"]
    streams = _python("granian", "--interface", "asgi", "--port", str(port + 1), *common)
    streams += ["--workers", "1", "--backlog", "8192", "--backpressure", "5000"]
    streams += ["--workers-kill-timeout", "2", "onym.site.asgi:application"]
    found = [
        Child("web", web, {**shared, "ONYM_POOL": str(POOL)}, lambda: _healthy(host, port)),
        Child("streams", streams, shared, lambda: _healthy(host, port + 1)),
    ]
    if importlib.util.find_spec("onym.jobs.__main__"):
        found.append(Child("jobs", _python("onym.jobs"), shared))
    return found


def announce(base: str, demo_data: Path | None, shared: Mapping[str, str]) -> None:
    """Where everything is, and in the demo who may sign in."""
    click.echo(f"Handle Marketplace  {base}/")
    if demo_data is None:
        return
    for title, name in (("Demo platform", "PLATFORM"), ("Mailbox", "MAILBOX")):
        click.echo(f"{title:<19} {shared[f'ONYM_{name}_URL']}/")
    written = demo_data / "demo.json"
    people = json.loads(written.read_text())["people"] if written.exists() else {}
    for role, person in people.items():
        click.echo(f"{role:<19} {person['mail']}  password {person['password']}")
    click.echo("Ctrl-C stops everything.")


def _environment(data_dir: Path, base: str, port: int) -> dict[str, str]:
    return {
        "ONYM_DATA": str(data_dir),
        "ONYM_BASE_URL": base,
        "ONYM_STREAM_URL": os.environ.get("ONYM_STREAM_URL") or f"http://{HOST}:{port + 1}",
        "ONYM_SUPERVISED": "1",
        "DJANGO_SETTINGS_MODULE": "onym.site.settings",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # 64 threads would otherwise each grow an arena
    }


def _database(supervisor: Supervisor) -> str:
    """The URL of a database that answers and is new enough."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        supervisor.server = embedded.EmbeddedPostgres(supervisor.data_dir)
        supervisor.server.start()
        url = supervisor.server.url
    database.check_version(url)
    return url


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _healthy(host: str, port: int) -> bool:
    try:
        with urlopen(f"http://{host}:{port}/health", timeout=2) as answer:  # nosec B310 # http, ours
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One supervisor a DATA; the kernel lets go of the file lock however we end."""
    with (data_dir / "run" / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(f"process {lock.read().strip()} runs on {data_dir}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
