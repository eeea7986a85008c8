"""Witnesses are asked without being told to, cosign what is served, and delay nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import connection
from django.test import Client
from tests import make
from tests.demo.servers import free_port
from tests.world import until

from onym import ports
from onym.cli import verify
from onym.core.errors import Malformed
from onym.core.events import Event
from onym.flows import log, record
from onym.jobs import log as jobs
from onym.ports import witness as witnesses
from onym.store import clock
from onym.tlog import checkpoint, integrator

AWAY = checkpoint.Signer("away.example/w2", bytes(32), checkpoint.COSIGNATURE).verifier
OTHER = checkpoint.Signer("other.example/w3", b"3" * 32, checkpoint.COSIGNATURE)


@pytest.fixture
def folder(database: str, settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.DATA = tmp_path / "data"
    settings.LOG_ORIGIN = "test/log"
    make.namespace()
    happen()
    yield settings.DATA / "log"
    ports.install(witnesses=())


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[witnesses.HttpWitness]:
    """`onym witness`, a process of its own, that trusts this log."""
    command = [sys.executable, "-m", "onym.site.command", "witness", "--name", "near.example/w1"]
    command += ["--log", str(log.signer().verifier), "--state", str(tmp_path / "state")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    key = process.stdout.readline().removeprefix("key ").strip()
    address = process.stdout.readline().split()[-1]
    yield witnesses.parse(f"{address} {key}")[0]
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    process.stdout.close()


def away(timeout: float = 5.0) -> witnesses.HttpWitness:
    return witnesses.HttpWitness(f"http://127.0.0.1:{free_port()}", AWAY, timeout)


def happen() -> int:
    """One more leaf in the log; the size then published."""
    event = Event("ReleaseStopSet", "demo", {"on": True})
    record.log(event, namespace="demo", at=clock.now())
    return log.integrate()


def checked(folder: Path, *options: object) -> tuple[int, str]:
    arguments = [str(folder), "--key", str(log.signer().verifier), *map(str, options)]
    done = CliRunner().invoke(verify.command, arguments)
    (line,) = [line for line in done.output.splitlines() if "cosigned" in line]
    return done.exit_code, line


def test_each_checkpoint_is_cosigned_and_served_so(
    folder: Path, served: witnesses.HttpWitness
) -> None:
    asking = jobs.Asking(served)
    for _ in range(3):
        happen()
        assert asking.once()
        note = Client().get("/log/checkpoint").content
        assert checkpoint.cosignatures(note, [served.key]) == ["near.example/w1"]
        assert checked(folder, "--witness", served.key) == (
            0,
            "ok          checkpoint is cosigned by the witnesses: all",
        )
    before = (folder / "checkpoint").read_bytes()
    assert asking.once()
    assert (folder / "checkpoint").read_bytes() == before, "it is not asked again"


def test_whoever_begins_anew_goes_on_where_the_witness_stands(
    folder: Path, served: witnesses.HttpWitness
) -> None:
    assert jobs.Asking(served).once()
    happen()
    assert jobs.Asking(served).once(), "it said 409 with the size that it knows"


def test_the_jobs_process_asks_all_of_them_and_a_dead_one_holds_up_nobody(
    folder: Path, served: witnesses.HttpWitness
) -> None:
    ports.install(witnesses=(away(), served))
    stop = threading.Event()
    threads = jobs.start(stop)
    try:
        for _ in range(2):
            event = Event("ReleaseStopSet", "demo", {"on": True})
            record.log(event, namespace="demo", at=clock.now())
            size = log.published_size()
            until(lambda size=size: log.published_size() > size, seconds=10)
            until(lambda: checked(folder, "--witness", served.key)[0] == 0, seconds=10)
        known = Client().get("/log/witnesses").content.decode().split()
        assert known == [str(AWAY), str(served.key)]
        code, line = checked(folder)
        assert (code, line.startswith("ok")) == (0, True)
        assert "by near.example/w1, not yet by away.example/w2; unpinned" in line
        assert checked(folder, "--witness", AWAY) == (
            1,
            "violated    checkpoint is cosigned by the witnesses: missing: away.example/w2",
        )
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def test_a_witness_that_never_answers_is_asked_ever_less_and_the_log_goes_on(folder: Path) -> None:
    asking = jobs.Asking(away())
    pauses = []
    for _ in range(12):
        assert not asking.once()
        pauses.append(asking.pause)
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert pauses[-1] == jobs.LONGEST_WAIT_SECONDS
    assert happen() == 2
    assert checked(folder) == (
        0,
        "no subject  checkpoint is cosigned by the witnesses: no witness was named",
    )


def test_a_silent_witness_is_given_its_timeout_and_no_more(folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert not jobs.Asking(witnesses.HttpWitness(base, AWAY, 0.3)).once()
        assert time.monotonic() - began < 3


def test_only_its_own_cosignature_gets_into_the_checkpoint(folder: Path) -> None:
    head = integrator.head(folder, log.signer().verifier)
    assert head is not None
    before = (folder / "checkpoint").read_bytes()
    foreign = OTHER.sign(head.text, seconds=1)
    for lines in ("", foreign, "nonsense", foreign.replace("other.example/w3", AWAY.name)):
        with pytest.raises(checkpoint.Unverified):
            log.cosign(key=AWAY, head=head, lines=lines)
    assert (folder / "checkpoint").read_bytes() == before
    both = OTHER.sign(head.text, seconds=1) + log.signer().sign(head.text)
    assert log.cosign(key=OTHER.verifier, head=head, lines=both)
    happen()
    assert not log.cosign(key=OTHER.verifier, head=head, lines=both), "another checkpoint is out"


def test_a_log_restored_behind_its_witness_is_not_cosigned(
    folder: Path, served: witnesses.HttpWitness, settings: Any, tmp_path: Path
) -> None:
    happen()
    assert jobs.Asking(served).once()
    with connection.cursor() as cursor:
        cursor.execute("truncate store_event")
    (tmp_path / "restored").mkdir()
    (settings.DATA / "keys").rename(tmp_path / "restored" / "keys")
    settings.DATA = tmp_path / "restored"
    happen()
    assert not jobs.Asking(served).once()
    assert checked(settings.DATA / "log", "--witness", served.key)[0] == 1


WITNESS = f"http://w.example/ {AWAY}"
LOG_KEY = checkpoint.Signer("log.example", bytes(32)).verifier


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://w.example", "URL VKEY"),
        (f"w.example {AWAY}", "not the address"),
        ("http://w.example nonsense", "not the key"),
        (f"http://w.example {LOG_KEY}", "of a log, not of a witness"),
        (f"{WITNESS};{WITNESS}", "named twice"),
    ],
)
def test_a_setting_that_names_no_witness_is_refused(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        witnesses.parse(text)


def test_witnesses_stand_apart_by_semicolons_or_lines() -> None:
    both = witnesses.parse(f"{WITNESS};\nhttps://o.example {OTHER.verifier}\n")
    assert [one.base for one in both] == ["http://w.example", "https://o.example"]
    assert witnesses.parse("") == ()
