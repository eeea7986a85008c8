"""Bad tables, policies and servers, handed to the command line as a person would: one line each."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests import make
from tests.core.test_policies import HEAD, IDLE, VERIFIED, rule
from tests.surfaces.test_cli_import import onym as import_accounts
from tests.surfaces.test_command import onym

from onym.store.models import DirectoryImport

GIGABYTE_SECONDS = 60


@pytest.fixture
def place(database: str) -> str:
    return str(make.namespace(id="tables").id)


def imported(
    place: str, database: str, data: Path, *files: Path
) -> tuple[int, dict[str, Any], str]:
    said = import_accounts(
        database, data, "--namespace", place, "--json", *[str(file) for file in files]
    )
    assert "Traceback" not in said.stdout + said.stderr
    return said.returncode, json.loads(said.stdout), said.stderr


def test_truncated_parquet_imports_nothing(place: str, database: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    with duckdb.connect() as con:
        query = "SELECT i::varchar AS account_id, 'name' || i AS handle FROM range(50000) t(i)"
        con.execute(f"COPY ({query}) TO '{whole}' (FORMAT PARQUET)").fetchall()
    cut.write_bytes(whole.read_bytes()[:-100])
    code, told, _ = imported(place, database, tmp_path / "data", cut)
    assert (code, told["code"], "cut.parquet" in told["detail"]) == (1, "malformed", True)
    assert not DirectoryImport.objects.exists()
    folder = tmp_path / "data" / "namespaces" / place / "directory"
    assert [path.name for path in folder.iterdir()] == [".lock"]
    code, told, _ = imported(place, database, tmp_path / "data", whole)
    assert (code, told["rows"]) == (0, 50_000)


def test_a_line_of_a_gigabyte_is_one_rejected_row(
    place: str, database: str, tmp_path: Path
) -> None:
    table = tmp_path / "long.csv"
    with table.open("wb") as out:
        out.write(b'account_id,handle,bio\n1,ada,\n2,"')
        for _ in range(1024):
            out.write(b"y" * (1 << 20))
        out.write(b"\n3,bob,\n")
    began = time.monotonic()
    code, told, _ = imported(place, database, tmp_path / "data", table)
    table.unlink()
    assert (code, told["rows"], told["reasons"]) == (0, 2, {"row_length": 1})
    assert time.monotonic() - began < GIGABYTE_SECONDS


def test_rows_that_contradict_each_other_are_rejected_by_name(
    place: str, database: str, tmp_path: Path
) -> None:
    table = tmp_path / "twice.csv"
    table.write_text("account_id,handle\n1,ada\n1,bob\n2,carol\n3,Carol\n4,dave\n")
    code, told, _ = imported(place, database, tmp_path / "data", table)
    assert (code, told["rows"]) == (0, 3)
    assert told["reasons"] == {"duplicate_account_id": 1, "duplicate_handle": 1}


CONTRADICTION = HEAD + VERIFIED + rule("blue", "verified", "is", "true", "idle") + IDLE


def test_contradictory_rules_are_refused_by_check_and_sweep(tmp_path: Path) -> None:
    policy, table, out = tmp_path / "odd.toml", tmp_path / "a.csv", tmp_path / "out"
    policy.write_text(CONTRADICTION)
    table.write_text("account_id,handle\n1,ada\n")
    checked = onym("policy", "check", str(policy))
    assert (checked.returncode, "one condition, two" in checked.stderr) == (1, True)
    options = ["--policy", str(policy), "--as-of", "2026-11-20", "--out", str(out)]
    swept = onym("sweep", str(table), *options)
    assert (swept.returncode, "one condition, two" in swept.stderr) == (1, True)
    assert not out.exists()
    assert "Traceback" not in checked.stderr + swept.stderr


@pytest.fixture
def old_server() -> Iterator[str]:
    """A server that greets in PostgreSQL's protocol as version 15.14; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        yield f"postgresql://onym@127.0.0.1:{server.getsockname()[1]}/onym?sslmode=disable"


def _greet(server: socket.socket) -> None:
    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!I", len(body) + 4) + body

    version = b"server_version\x0015.14 (Debian 15.14-0+deb12u1)\x00"
    hello = message(b"R", struct.pack("!I", 0)) + message(b"S", version)
    hello += message(b"S", b"client_encoding\x00UTF8\x00") + message(b"Z", b"I")
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        with link:
            length = struct.unpack("!I", link.recv(4))[0]
            link.recv(length - 4)
            link.sendall(hello)
            link.recv(1)


def test_an_external_server_that_is_too_old_is_refused_by_version(old_server: str) -> None:
    for arguments in (["migrate"], ["audit"]):
        said: subprocess.CompletedProcess[str] = onym(*arguments, DATABASE_URL=old_server)
        assert said.returncode == 1
        assert said.stderr == (
            "onym: database_unavailable: PostgreSQL 15 is too old; 16 or newer is needed\n"
        )
