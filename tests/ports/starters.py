"""The starters of examples/ as processes, whole or broken on purpose; and judging a platform."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.demo.servers import free_port

from onym.ports import conformance
from onym.ports.conformance import Ground, Verdict
from onym.ports.conformance.asking import Asker

EXAMPLES = Path(__file__).parents[2] / "examples"
APPLICATIONS = {"flask": "app:app", "django": "app:application"}
_numbers = itertools.count(1)

# What is changed in the Flask starter: (what it does wrong, [(text, put in its place)]).
BROKEN: dict[str, list[tuple[str, str]]] = {
    "checks no signature": [("@app.before_request\n", "")],
    "forgets what it answered": [
        ("        if not kept:\n", "        if True:\n"),
        ("INSERT INTO answers", "INSERT OR REPLACE INTO answers"),
    ],
    "ignores the fence": [('expect(fence > held["fence"]', "expect(True")],
    "ignores the expected holder": [
        ('expect(held["account_id"] == expected_holder', "expect(True")
    ],
    "says moved and is not": [
        ("DB.executemany(PUT, changes)", "changes[1:] or DB.executemany(PUT, changes)"),
    ],
    "gives a taken placeholder": [('while given["account_id"] is not None:', "while False:")],
    "orders its list by handle": [
        ('"> ? ORDER BY account_id LIMIT ?"', "\"> '' AND handle > ? ORDER BY handle LIMIT ?\""),
        ('items[-1]["account_id"]', 'items[-1]["handle"]'),
    ],
    "refuses in plain text": [('content_type="application/problem+json"', 'mimetype="text/plain"')],
    "frees what it should keep": [("CUSTODIAN if retain else None", "None")],
    "says done where it reserves and frees nothing": [
        (
            '    expect(held["account_id"] in holders, 409, code)\n    ask(PUT',
            "    held or ask(PUT",
        ),
    ],
    "tells accounts that there are none of": [('account(name)["account_id"], kind', "name, kind")],
}


@dataclass(slots=True)
class Starter:
    """A running starter with its database."""

    process: subprocess.Popen[bytes]
    base: str
    database: Path
    key: Ed25519PrivateKey

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)

    def accounts(self, count: int) -> list[tuple[str, str]]:
        """New accounts, each on a handle of its own: (account id, handle)."""
        made = [(f"{number:06}", f"s_{number}") for number in itertools.islice(_numbers, count)]
        with sqlite3.connect(self.database, timeout=10) as db:
            for account_id, handle in made:
                row = (account_id, "active", "2026-01-01T00:00:00Z")
                db.execute("INSERT INTO accounts VALUES (?, ?, ?)", row)
                db.execute("INSERT INTO handles VALUES (?, ?, 0, NULL)", (handle, account_id))
        db.close()
        return made


def broken(wrong: str) -> str:
    """The Flask starter's text with one thing wrong."""
    text = (EXAMPLES / "platform_flask" / "app.py").read_text()
    for good, bad in BROKEN[wrong]:
        assert text.count(good) == 1, f"{good!r} is not once in the starter"
        text = text.replace(good, bad)
    return text


def start(kind: str, folder: Path, text: str | None = None) -> Starter:
    """A starter in `folder`, which is empty; `text` stands for its own."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "platform.pem").write_bytes(public)
    whole = (EXAMPLES / f"platform_{kind}" / "app.py").read_text()
    (folder / "app.py").write_text(text or whole)
    database, port = folder / "platform.sqlite3", free_port()
    known = {"ONYM_PUBLIC_KEY": str(folder / "platform.pem"), "PLATFORM_DB": str(database)}
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-log"]
    command += ["--port", str(port), "--blocking-threads", "4", APPLICATIONS[kind]]
    process = subprocess.Popen(command, cwd=folder, env=os.environ | known)
    started = Starter(process, f"http://127.0.0.1:{port}", database, key)
    _wait(started)
    return started


def _wait(started: Starter) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert started.process.poll() is None, "the starter ended at its start"
        try:
            requests.get(f"{started.base}/capabilities", timeout=2)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("the starter did not answer within 20 s")


def verdicts(
    base: str,
    key: Ed25519PrivateKey,
    accounts: tuple[str, ...] = (),
    free: str | None = None,
    mail: str | None = None,
) -> tuple[dict[str, tuple[Verdict, str]], list[str]]:
    """({clause: (verdict, detail)}, what could not be put back)."""
    asker = Asker(base=base, key_id="onym", private_key=key, timeout=10)
    ground = Ground(asker, asker.read("/capabilities").facts)
    ground.name(accounts, free, mail)
    found = {
        finding.clause.id: (finding.verdict, finding.detail)
        for finding in conformance.judge(ground, conformance.CLAUSES)
    }
    return found, ground.astray
