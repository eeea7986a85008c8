"""`onym up` as a person meets it: started, stopped, killed, started twice, on a busy port."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg
import pytest

from onym.site import embedded, outside

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONYM_")}
    kept.pop("DATABASE_URL", None)
    return kept | {"PYTHONPATH": str(ROOT / "src")} | more


class Up:
    """One `onym up` over a DATA of its own."""

    def __init__(self, data: Path, *prefix: str, **environment: str) -> None:
        self.data, self.prefix, self.environment = data, prefix, environment
        self.port = outside.free_pair(data.with_name(f"{data.name}.port"))
        self.process: subprocess.Popen[str] | None = None

    def command(self, *more: str) -> list[str]:
        program = [sys.executable, "-m", "onym.site.command", "up", "--data", str(self.data)]
        return [*self.prefix, *program, "--port", str(self.port), "--workers", "1", *more]

    def start(self, *more: str) -> float:
        """Seconds until it answers."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command(*more),
            env=_environment(**self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        while not (self.answers("/health") and self.answers("/health", self.port + 1)):
            assert self.process.poll() is None, self.process.stdout and self.process.stdout.read()
            assert time.monotonic() - began < 60, "it does not answer"
            time.sleep(0.05)
        return time.monotonic() - began

    def answers(self, path: str, port: int | None = None) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def ready(self) -> bool:
        """Whether /ready says so within the time that a first worker needs to be seen."""
        until = time.monotonic() + 20
        while not self.answers("/ready"):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Seconds until it and all that it started have ended."""
        assert self.process
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        self.close()
        while self.members():
            assert time.monotonic() - began < 20, self.members()
            time.sleep(0.02)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def members(self) -> dict[int, str]:
        """Every live process of this DATA, by what the kernel says of its environment or name."""
        mark = f"ONYM_DATA={self.data}".encode()
        named = str(self.data).encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words and (mark in environment.split(b"\0") or named in words):
                found[int(entry.name)] = words.replace(b"\0", b" ").decode()
        return found

    def kill_everything(self) -> None:
        assert self.process
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(timeout=10)
        self.close()

    def link(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(embedded.address(self.data), autocommit=True)


@pytest.fixture
def up() -> Iterator[Up]:
    data = Path(tempfile.mkdtemp(prefix="onym-up-"))
    one = Up(data)
    yield one
    if one.process and one.process.poll() is None:
        one.stop(signal.SIGINT)
    one.close()
    shutil.rmtree(data)


def test_it_stops_within_five_seconds_and_starts_again_within_ten(up: Up) -> None:
    up.start()
    assert up.ready()
    assert up.stop(signal.SIGTERM) < 5
    assert up.process
    assert up.process.returncode == 0
    assert up.start() < 10
    assert up.ready()


def test_ctrl_c_stops_all_of_it(up: Up) -> None:
    up.start()
    assert len(up.members()) > 4
    assert up.stop(signal.SIGINT) < 5
    assert up.members() == {}


def test_it_stops_in_time_while_a_client_holds_a_connection_and_a_transaction(up: Up) -> None:
    up.start()
    with socket.create_connection(("127.0.0.1", up.port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")  # never finished
        link = psycopg.connect(embedded.address(up.data))
        link.execute("SELECT 1")
        assert up.stop() < 5
        link.close()


def test_a_killed_supervisor_takes_everything_with_it(up: Up) -> None:
    up.start()
    assert up.process
    assert up.stop(signal.SIGKILL) < 5


def test_after_kill_9_of_everything_the_next_start_has_every_row(up: Up) -> None:
    up.start()
    with up.link() as link:
        link.execute("CREATE TABLE kept (n int)")
        for n in range(100):
            link.execute("INSERT INTO kept VALUES (%s)", [n])
        up.kill_everything()
        link.close()
    up.start()
    with up.link() as link:
        row = link.execute("SELECT count(*), sum(n) FROM kept").fetchone()
    assert row == (100, 4950)


def test_a_child_that_dies_is_started_again(up: Up) -> None:
    up.start()
    web = [pid for pid, words in up.members().items() if "wsgi" in words]
    assert web
    for pid in web:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while not up.answers("/ready"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not set(web) & set(up.members())


def test_a_database_that_dies_is_started_again(up: Up) -> None:
    up.start()
    pid = int((up.data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while not up.answers("/ready"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert int((up.data / "postgres" / "postmaster.pid").read_text().splitlines()[0]) != pid


def test_a_port_in_use_is_said_in_one_line_and_nothing_is_left_running(up: Up) -> None:
    for offset in (0, 1):
        with socket.socket() as other:
            other.bind(("127.0.0.1", up.port + offset))
            other.listen()
            said = subprocess.run(
                up.command(), env=_environment(), capture_output=True, text=True, timeout=20
            )
        assert said.returncode == 1
        assert said.stderr == (
            f"onym: port_in_use: port {up.port + offset} is in use; choose another with --port\n"
        )
        assert up.members() == {}


def test_port_nought_takes_two_that_are_free_and_the_same_again(up: Up) -> None:
    up.port = 0
    told = [_told(up), _told(up)]
    assert told[0] == told[1]
    assert outside.free(told[0])
    assert up.members() == {}


def _told(up: Up) -> int:
    """The port that it says it listens on, once it does; then it is ended."""
    with subprocess.Popen(
        up.command(), env=_environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as begun:
        assert begun.stdout
        said = begun.stdout.readline()
        begun.terminate()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
    assert found, said
    return int(found[1])


def test_a_second_instance_on_one_data_is_refused_by_name(up: Up) -> None:
    up.start()
    second = Up(up.data)
    said = subprocess.run(
        second.command(), env=_environment(), capture_output=True, text=True, timeout=20
    )
    assert said.returncode == 1
    assert up.process
    expected = f"onym: already_running: process {up.process.pid} runs on {up.data}\n"
    assert said.stderr == expected
    assert up.ready()


def test_in_the_demo_it_is_ready_only_once_demo_json_is_written(up: Up) -> None:
    up.environment = {"ONYM_DEMO": "1"}
    up.start()
    written = up.data / "demo.json"
    assert written.exists() or not up.answers("/ready")
    written.unlink(missing_ok=True)
    assert not up.answers("/ready")
    written.write_text(json.dumps({}))
    assert up.ready()


@pytest.mark.parametrize("identity", ["namespace", "nobody"])
def test_root_runs_the_server_as_nobody_either_way(identity: str) -> None:
    if os.geteuid() != 0:
        identity = "self"
    data = Path(tempfile.mkdtemp(prefix="onym-up-"))
    try:
        with embedded.EmbeddedPostgres(data, who=identity) as server:
            with psycopg.connect(server.url) as link:
                row = link.execute("SELECT current_setting('data_checksums')").fetchone()
            assert row == ("on",)
        with embedded.EmbeddedPostgres(data) as again, psycopg.connect(again.url) as link:
            assert link.execute("SELECT 1").fetchone() == (1,)
    finally:
        shutil.rmtree(data)


def _as_nobody() -> list[str]:
    """For root, the prefix that makes an ordinary user of a command.

    Where the interpreter lies in root's home, that user may read there, but write nowhere more.
    """
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if subprocess.run([*prefix, sys.executable, "-c", again], capture_output=True).returncode:
        prefix += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return prefix


def test_an_ordinary_user_runs_all_of_it_in_a_directory_of_their_own() -> None:
    data = Path(tempfile.mkdtemp(prefix="onym-up-"))
    prefix = _as_nobody()
    if prefix:
        os.chown(data, NOBODY, NOBODY)
    one = Up(data, *prefix, HOME=str(data))
    try:
        one.start()
        assert one.ready()
        assert one.stop() < 5
        owners = {path.lstat().st_uid for path in data.rglob("*")}
        assert owners == {NOBODY if prefix else os.geteuid()}
    finally:
        one.close()
        shutil.rmtree(data)


def test_an_abandoned_server_file_of_another_life_does_not_stop_the_start() -> None:
    """After a reboot the recorded pid may be anybody's: here it is a bystander's."""
    data = Path(tempfile.mkdtemp(prefix="onym-up-"))
    try:
        with embedded.EmbeddedPostgres(data) as server:
            text = (server.cluster / "postmaster.pid").read_text().splitlines()
        with subprocess.Popen(["sleep", "60"]) as bystander:
            text[0] = str(bystander.pid)
            (server.cluster / "postmaster.pid").write_text("\n".join(text) + "\n")
            with embedded.EmbeddedPostgres(data) as again, psycopg.connect(again.url) as link:
                assert link.execute("SELECT 1").fetchone() == (1,)
            assert bystander.poll() is None
            bystander.kill()
    finally:
        shutil.rmtree(data)


def test_commands_at_the_same_time_share_one_server_and_the_last_stops_it() -> None:
    data = Path(tempfile.mkdtemp(prefix="onym-up-"))
    program = [sys.executable, "-m", "onym.site.command", "migrate", "--json"]
    program += ["--data", str(data)]
    try:
        first, second = (
            subprocess.Popen(program, env=_environment(), stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        )
        said = [json.loads(one.communicate(timeout=60)[0]) for one in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0)
        applied = sorted(len(one["applied"]) for one in said)
        assert applied[0] == 0
        assert applied[1] > 50
        assert embedded.join(data) is None
    finally:
        shutil.rmtree(data)
