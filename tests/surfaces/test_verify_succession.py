"""`onym verify` on the successor of a log: what it says about the one before is checked, not taken,
since the operator's own key has signed all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onym.cli import verify, verify_succession
from onym.core import events, succession
from onym.tlog import checkpoint, integrator
from onym.tlog.checkpoint import Checkpoint, Signer

OLD, NEW = Signer("t/log", b"1" * 32), Signer("t/log-2", b"2" * 32)
OTHER = Signer("t/other", b"3" * 32)
Lie = Callable[[dict[str, Any]], dict[str, Any]]
AT = datetime(2026, 11, 20, tzinfo=UTC)


def entry(event: events.Event) -> bytes:
    return events.seal(event, namespace="demo", at=AT, salt=bytes).entry


KNOWN = [entry(events.Event("ReleaseStopSet", "demo", {"on": on})) for on in (True, False, True)]


def successor(folder: Path, *, lie: Lie = dict, both: bool = False) -> Path:
    """A log of three leaves that ended, of five, and the one that goes on. `lie` changes the body
    that says so in the successor, and with `both` what the old key says, too."""
    last = integrator.append(folder / "old", KNOWN, OLD, first=0)
    seen = Checkpoint(OLD.name, 5, b"5" * 32)
    said = entry(
        succession.event(ref="demo", old=OLD.verifier, new=NEW.verifier, last=last, seen=seen)
    )
    body = lie(json.loads(said)["body"])
    leaf = events.canonical(json.loads(said) | {"body": body})
    note = succession.note(leaf if both else said, [OLD, NEW])
    (folder / "old" / succession.FILE).write_bytes(note)
    if both:
        root = bytes.fromhex(body["root"])
        signed = checkpoint.sign(origin=OLD.name, size=body["count"], root=root, signers=[OLD])
        (folder / "old" / "checkpoint").write_bytes(signed.note)
    integrator.append(folder / "log", [*KNOWN, leaf], NEW, first=0)
    shutil.copytree(folder / "old", folder / "log" / succession.place(OLD.verifier))
    return folder / "log"


def told(folder: Path) -> tuple[int, str, str]:
    """Exit code, status and detail of what is said about the logs before."""
    said = CliRunner().invoke(verify.command, [str(folder), "--json"])
    checks = {check["name"]: check for check in json.loads(said.stdout)["checks"]}
    found = checks[verify_succession.NAME]
    return said.exit_code, found["status"], found["detail"]


def test_a_successor_that_says_what_both_keys_say_is_clean(tmp_path: Path) -> None:
    code, status, detail = told(successor(tmp_path))
    assert (code, status) == (0, "ok")
    assert "t/log ended with 3 leaves, of 5 that had been published" in detail


LIES: dict[str, Lie] = {
    "another root": lambda body: body | {"root": "0" * 64},
    "more leaves than stand before it": lambda body: body | {"count": 4},
    "nothing before it": lambda body: body | {"count": 0},
    "another log before it": lambda body: body | {"previous_key": str(OTHER.verifier)},
    "another log after it": lambda body: body | {"key": str(OTHER.verifier)},
    "fewer leaves lost": lambda body: body | {"seen": 3},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_successor_that_says_what_is_not_so_is_red(tmp_path: Path, lie: str) -> None:
    assert told(successor(tmp_path, lie=LIES[lie]))[:2] == (1, "violated")


@pytest.mark.parametrize("lie", ["another root", "nothing before it", "another log after it"])
def test_it_is_red_too_where_the_old_key_says_the_same(tmp_path: Path, lie: str) -> None:
    assert told(successor(tmp_path, lie=LIES[lie], both=True))[:2] == (1, "violated")


BROKEN: dict[str, tuple[str, bytes | None, str]] = {
    "the old log's word is missing": ("succession", None, "does not say so itself"),
    "the old log's word is by somebody else": (
        "succession",
        succession.note(
            entry(
                succession.event(
                    ref="demo",
                    old=OLD.verifier,
                    new=NEW.verifier,
                    last=Checkpoint(OLD.name, 3, b"0" * 32),
                    seen=Checkpoint(OLD.name, 3, b"0" * 32),
                )
            ),
            [NEW],
        ),
        "not signed by t/log",
    ),
    "the old log's checkpoint is missing": ("checkpoint", None, "does not say so itself"),
    "the old log's checkpoint is another's": (
        "checkpoint",
        b"t/log\n3\nAAAA\n\n",
        "ended/",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_without_the_old_logs_own_word_it_is_red(tmp_path: Path, how: str) -> None:
    name, data, words = BROKEN[how]
    folder = successor(tmp_path)
    file = folder / succession.place(OLD.verifier) / name
    file.unlink() if data is None else file.write_bytes(data)
    code, status, detail = told(folder)
    assert (code, status, words in detail) == (1, "violated", True)


def test_the_old_keys_word_about_its_end_is_no_checkpoint() -> None:
    """Whoever takes checkpoints by that key must not be able to take this for one."""
    fact = succession.event(
        ref="demo",
        old=OLD.verifier,
        new=NEW.verifier,
        last=Checkpoint(OLD.name, 3, b"0" * 32),
        seen=Checkpoint(OLD.name, 3, b"0" * 32),
    )
    with pytest.raises(checkpoint.Unverified):
        checkpoint.Checkpoint.parse(succession.note(entry(fact), [OLD]))
