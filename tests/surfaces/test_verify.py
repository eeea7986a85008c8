"""`onym verify` and `onym witness` as processes: what they say, and with which exit code."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from onym.cli import verify
from onym.core import events
from onym.tlog import checkpoint, integrator, proof, tiles, witness

SIGNER = checkpoint.Signer("log.example/handles", bytes(range(32)))
OTHER = checkpoint.Signer("log.example/handles", b"o" * 32)
KEY = str(SIGNER.verifier)
WITNESS = checkpoint.Signer("witness.example/w1", bytes(32), checkpoint.COSIGNATURE)
SIZE = 600


def entry(number: int) -> bytes:
    event = events.Event("ReleaseStopSet", "demo", {"on": bool(number % 2)})
    at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=number)
    return events.seal(event, namespace="demo", at=at, salt=bytes).entry


ENTRIES = [entry(number) for number in range(SIZE)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    integrator.append(folder, ENTRIES[:500], SIGNER, first=0)
    (folder.parent / "old.tlog-proof").write_bytes(receipt(folder, 7))
    integrator.append(folder, ENTRIES[500:], SIGNER, first=500)
    return folder


@pytest.fixture
def log(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "log"))


@pytest.fixture
def url(log: Path) -> Iterator[str]:
    """The directory served as any static web server does."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(log.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/log"
        server.shutdown()


def receipt(folder: Path, index: int) -> bytes:
    note = (folder / "checkpoint").read_bytes()
    return proof.build(index=index, note=note, read=tiles.directory(folder)).encode()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(verify.command, [str(argument) for argument in arguments])


def lines(result: Result, status: str) -> list[str]:
    return [line for line in result.output.splitlines() if line.startswith(status)]


def onym(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "onym.site.command", *map(str, arguments)]
    source = str(Path(verify.__file__).parents[2])
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": source},
        check=False,
    )


def test_a_true_log_passes_and_without_a_key_it_is_called_unpinned(log: Path) -> None:
    done = onym("verify", log)
    assert (done.returncode, done.stderr) == (0, "")
    assert "unpinned" in done.stdout
    assert done.stdout.endswith("nothing is wrong\n")
    done = onym("verify", log, "--key", KEY)
    assert done.returncode == 0
    assert "unpinned" not in done.stdout


def test_checks_without_a_subject_pass_and_are_named(log: Path) -> None:
    result = run(log, "--key", KEY)
    assert result.exit_code == 0
    named = lines(result, "no subject")
    assert any("every sale has an eligible path" in line for line in named)


def test_a_log_is_checked_over_http_from_its_prefix(url: str) -> None:
    result = run(url, "--key", KEY)
    assert (result.exit_code, "600 leaves" in result.output) == (0, True)
    assert run(f"{url}/", "--key", KEY).exit_code == 0


def test_json_is_one_object(log: Path) -> None:
    done = onym("verify", log, "--key", KEY, "--json")
    body = json.loads(done.stdout)
    assert done.returncode == 0
    assert (body["ok"], body["pinned"], body["size"], body["key"]) == (True, True, SIZE, KEY)
    assert {check["status"] for check in body["checks"]} == {"ok", "no subject"}


def flip(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 0x10
    path.write_bytes(bytes(data))


def offset(leaf: int) -> int:
    """Where the text of an entry begins in its bundle."""
    return sum(2 + len(ENTRIES[n]) for n in range(leaf // 256 * 256, leaf)) + 2


@pytest.mark.parametrize(
    ("path", "byte", "leaf"),
    [
        ("tile/0/001", 5 * 32, 261),
        ("tile/0/002.p/88", 87 * 32 + 31, 599),
        ("tile/1/000.p/2", 32, 256),
        ("tile/entries/000", offset(77) + 4, 77),
        ("tile/entries/002.p/88", offset(512) + 4, 512),
    ],
)
def test_one_flipped_byte_is_red_and_names_the_leaf(
    path: str, byte: int, leaf: int, log: Path
) -> None:
    flip(log / path, byte)
    result = run(log, "--key", KEY, "--json")
    body = json.loads(result.output)
    (wrong,) = [check for check in body["checks"] if check["status"] == "violated"]
    assert (result.exit_code, body["ok"], wrong["leaf"]) == (1, False, leaf)
    assert wrong["detail"].startswith(f"leaf {leaf}: tile/")


def test_a_flipped_byte_over_http_is_red_too(log: Path, url: str) -> None:
    flip(log / "tile/0/001", 0)
    result = run(url)
    assert result.exit_code == 1
    assert "leaf 256: tile/0/001: tile and entry do not agree" in result.output
    assert "VIOLATED: 1" in result.output


def cut(log: Path, path: str) -> None:
    (log / path).write_bytes((log / path).read_bytes()[:-1])


def remove(log: Path, path: str) -> None:
    (log / path).unlink()


def sign_with(log: Path, signer: checkpoint.Signer) -> None:
    head = checkpoint.Checkpoint.parse((log / "checkpoint").read_bytes())
    fresh = checkpoint.sign(origin=signer.name, size=head.size, root=head.root, signers=[signer])
    (log / "checkpoint").write_bytes(fresh.note)


def sign_another_root(log: Path, _path: str) -> None:
    fresh = checkpoint.sign(origin=SIGNER.name, size=SIZE, root=b"r" * 32, signers=[SIGNER])
    (log / "checkpoint").write_bytes(fresh.note)


WRONG: list[tuple[Callable[[Path, str], None], str, str]] = [
    (remove, "tile/0/001", "tile/0/001: missing"),
    (remove, "tile/entries/001", "tile/entries/001: missing"),
    (remove, "tile/1/000.p/2", "tile/1/000.p/2: missing"),
    (remove, "checkpoint", "checkpoint: missing"),
    (cut, "tile/0/001", "tile/0/001: truncated: 8191 of 8192 bytes"),
    (cut, "tile/entries/002.p/88", "tile/entries/002.p/88: truncated"),
    (cut, "checkpoint", "the note has no signatures"),
    (lambda log, _: sign_with(log, OTHER), "", "not signed by log.example/handles with this key"),
    (
        lambda log, _: sign_with(log, checkpoint.Signer("other.example", SIGNER.seed)),
        "",
        "the checkpoint is of other.example, not of log.example/handles",
    ),
    (lambda log, _: flip(log / "checkpoint", 140), "", "is wrong"),
    (lambda log, _: flip(log / "checkpoint", 22), "", "not a number"),
    (sign_another_root, "", "its root is not the root of the entries"),
]


@pytest.mark.parametrize(("spoil", "path", "says"), WRONG)
def test_what_is_wrong_is_said_in_one_line(
    spoil: Callable[[Path, str], None], path: str, says: str, log: Path
) -> None:
    spoil(log, path)
    result = run(log, "--key", KEY)
    assert result.exit_code == 1
    (line,) = lines(result, "violated")
    assert says in line


def test_an_unpinned_log_with_another_key_agrees_with_itself_but_not_with_the_pin(
    log: Path,
) -> None:
    sign_with(log, OTHER)
    (log / "key").write_text(str(OTHER.verifier))
    assert run(log).exit_code == 0
    assert run(log, "--key", KEY).exit_code == 1


def test_a_lie_in_the_entries_is_red_though_the_tree_is_sound(tmp_path: Path) -> None:
    body = {"sale": "sal_1", "handle": "moon", "gross": {"minor": "5", "currency": "USD"}}
    event = events.Event("SaleFunded", "sal_1", body)
    at = datetime(2026, 11, 20, tzinfo=UTC)
    lie = events.seal(event, namespace="demo", at=at, salt=bytes).entry
    integrator.append(tmp_path, [*ENTRIES[:3], lie], SIGNER, first=0)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "leaf 3: SaleFunded without SaleAgreed before it" in result.output
    assert lines(result, "ok          tiles and entries")


def test_a_receipt_verifies_offline_and_against_the_log_as_it_grew(made: Path, log: Path) -> None:
    old = made.parent / "old.tlog-proof"
    result = run("--receipt", old, "--key", KEY)
    assert (result.exit_code, "leaf 7 is ReleaseStopSet demo" in result.output) == (0, True)
    result = run(log, "--receipt", old, "--key", KEY)
    assert (result.exit_code, "from size 500 to 600" in result.output) == (0, True)


def test_a_changed_receipt_or_one_of_another_log_is_red(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.tlog-proof"
    path.write_bytes(receipt(log, 7).replace(b"index 7", b"index 8"))
    result = run("--receipt", path, "--key", KEY)
    assert (result.exit_code, "leaf 8 is not shown" in result.output) == (1, True)
    path.write_bytes(receipt(log, 7))
    assert run("--receipt", path, "--key", OTHER.verifier).exit_code == 1


def test_a_log_that_was_rolled_back_or_rewritten_under_a_receipt_is_red(
    log: Path, tmp_path: Path
) -> None:
    path = tmp_path / "r.tlog-proof"
    path.write_bytes(receipt(log, 7))
    back, rewritten = tmp_path / "back", tmp_path / "rewritten"
    integrator.append(back, ENTRIES[:300], SIGNER, first=0)
    result = run(back, "--receipt", path, "--key", KEY)
    assert (result.exit_code, "knew 600 leaves, the log shows 300" in result.output) == (1, True)
    integrator.append(rewritten, [entry(1), *ENTRIES[1:], entry(0)], SIGNER, first=0)
    result = run(rewritten, "--receipt", path, "--key", KEY)
    (line,) = lines(result, "violated")
    assert (result.exit_code, "extends the receipt's checkpoint" in line) == (1, True)


def test_a_witness_that_is_asked_for_must_have_cosigned(log: Path) -> None:
    asked = (log, "--key", KEY, "--witness", WITNESS.verifier)
    result = run(*asked)
    assert (result.exit_code, "missing: witness.example/w1" in result.output) == (1, True)
    head = checkpoint.Checkpoint.parse((log / "checkpoint").read_bytes())
    lines_ = WITNESS.sign(head.text, seconds=1)
    integrator.cosign(log, SIGNER.verifier, size=SIZE, lines=lines_)
    assert run(*asked).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("/nowhere/at/all",),
        (".", "--key", "nonsense"),
        (".", "--witness", "nonsense"),
        (".", "--receipt", "/nowhere/at/all"),
        ("--receipt", __file__),
    ],
)
def test_wrong_usage_is_two(arguments: tuple[str, ...]) -> None:
    done = onym("verify", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", [1])
def test_a_log_that_does_not_answer_is_said_in_one_line(port: int) -> None:
    result = run(f"http://127.0.0.1:{port}/log")
    assert result.exit_code == 1
    assert "does not answer" in lines(result, "violated")[0]


# The witness.


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., tuple[str, str, subprocess.Popen[str]]]]:
    """Starts witnesses as processes; each gives its key and its address."""
    started: list[subprocess.Popen[str]] = []

    def start(*more: str) -> tuple[str, str, subprocess.Popen[str]]:
        source = str(Path(verify.__file__).parents[2])
        command = [sys.executable, "-m", "onym.site.command", "witness", "--log", KEY]
        process = subprocess.Popen(
            [*command, "--state", str(tmp_path / "state"), *more],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        assert process.stdout is not None
        key, address = process.stdout.readline(), process.stdout.readline()
        return key.removeprefix("key ").strip(), address.split()[-1], process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def submission(log: Path, old: int) -> bytes:
    head = checkpoint.Checkpoint.parse((log / "checkpoint").read_bytes())
    source = tiles.Tiles(tiles.directory(log), head.size)
    return witness.submission(head=head, old=old, read=source).encode()


def test_a_witness_cosigns_what_verify_then_finds(
    served: Callable[..., tuple[str, str, subprocess.Popen[str]]], made: Path, log: Path
) -> None:
    key, address, process = served("--name", "witness.example/w1")
    post = functools.partial(requests.post, f"{address}add-checkpoint", timeout=10)
    answer = post(data=submission(log, 0))
    assert answer.status_code == 200
    assert integrator.cosign(log, SIGNER.verifier, size=SIZE, lines=answer.text)
    assert run(log, "--key", KEY, "--witness", key).exit_code == 0

    again = post(data=submission(log, 0))
    assert (again.status_code, again.text) == (409, "600\n")
    assert again.headers["Content-Type"] == "text/x.tlog.size"
    assert post(data=b"nonsense").status_code == 400
    assert post(data=b"x" * 70_000).status_code == 400
    assert requests.post(f"{address}elsewhere", data=b"", timeout=10).status_code == 404

    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    same, address, _ = served()
    answer = requests.post(f"{address}add-checkpoint", data=submission(log, 600), timeout=10)
    assert (same, answer.status_code) == (key, 200)


def test_a_witness_keeps_its_key_to_itself_and_its_name_for_good(
    served: Callable[..., tuple[str, str, subprocess.Popen[str]]], tmp_path: Path
) -> None:
    served("--name", "witness.example/w1")
    assert (tmp_path / "state/signer").stat().st_mode & 0o077 == 0
    arguments = ("witness", "--log", KEY, "--state", tmp_path / "state", "--name", "other.example")
    done = onym(*arguments)
    assert (done.returncode, "signs as witness.example/w1" in done.stderr) == (2, True)


def test_a_witness_that_cannot_start_says_why(tmp_path: Path) -> None:
    done = onym("witness", "--log", KEY, "--state", tmp_path / "state")
    assert (done.returncode, "--name" in done.stderr) == (2, True)
    done = onym("witness", "--log", "nonsense", "--state", tmp_path / "state")
    assert (done.returncode, re.search("verifier key", done.stderr) is not None) == (2, True)
    (tmp_path / "state/signer").write_text("nonsense")
    done = onym("witness", "--log", KEY, "--state", tmp_path / "state")
    assert (done.returncode, "cannot start" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
