"""The whole of Onym as a stranger has it: one `onym up --demo`, reached over HTTP and SMTP only."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psutil
import requests

START_SECONDS = 300
MAIL_SECONDS = 30
_keys = itertools.count(1)


class Person:
    """Somebody of demo.json, with the token."""

    def __init__(self, site: Site, role: str) -> None:
        self.site, self.role = site, role
        facts = site.facts["people"][role]
        self.mail, self.token = facts["mail"], facts["token"]
        self.member, self.account_id = facts["member"], facts["account_id"]

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.site.base}/api/v1{path}", headers=self._headers(), timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def send(self, path: str, body: Any = None, *, method: str = "POST", key: str = "") -> Any:
        headers = self._headers() | {"Idempotency-Key": key or f"{self.role}-{next(_keys)}"}
        return requests.request(
            method, f"{self.site.base}/api/v1{path}", json=body, headers=headers, timeout=60
        )

    def do(self, path: str, body: Any = None, *, expect: int) -> Any:
        answer = self.send(path, body)
        assert answer.status_code == expect, (path, answer.status_code, answer.text)
        return answer.json()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Site:
    """A running demo."""

    def __init__(self, data: Path, process: subprocess.Popen[bytes], **more: str) -> None:
        self.data, self.process, self.more = data, process, more
        self.facts: dict[str, Any] = json.loads((data / "demo.json").read_text())
        self.base = self.facts["base"]
        self.people = {role: Person(self, role) for role in self.facts["people"]}

    def kill_everything(self) -> None:
        """kill -9 of the supervisor and all it started, the database and the outside world too."""
        tree = [*psutil.Process(self.process.pid).children(recursive=True)]
        self.process.kill()
        for one in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start again on the same DATA."""
        self.process = start(self.data, port=int(self.base.rsplit(":", 1)[1]), **self.more)
        self.facts = json.loads((self.data / "demo.json").read_text())

    def step(self, days: float) -> str:
        """Move the demo's clock; everything due on the way is done when this returns."""
        token = self.people["team1"].token
        answer = requests.post(
            f"{self.base}/demo/clock",
            json={"advance_seconds": round(days * 86_400)},
            headers={"Authorization": f"Bearer {token}"},
            timeout=300,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["now"])

    def mails(self, to: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.facts['mailbox']}/messages", params={"to": to}, timeout=30)
        found: list[dict[str, Any]] = answer.json()
        return found

    def link(self, to: str, part: str) -> str:
        """The last link in a mail to `to` whose line has `part`; it stands alone on its line."""
        until = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < until:
            for mail in reversed(self.mails(to)):
                found = re.findall(rf"(?m)^({re.escape(self.base)}/\S*{part}\S*)$", mail["text"])
                if found:
                    return str(found[-1])
            time.sleep(0.1)
        raise AssertionError(f"no mail to {to} has a link with {part}")

    def write(self, to: str, subject: str, *, sender: str) -> None:
        """A letter by SMTP."""
        host, port = self.facts["smtp"].split("//")[-1].rsplit(":", 1)
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = sender, to, subject
        letter["Message-ID"] = f"<{next(_keys)}@press.example>"
        letter.set_content("A question.")
        with smtplib.SMTP(host, int(port), timeout=10) as post:
            post.send_message(letter)

    def holder(self, handle: str) -> str | None:
        """Who holds it, as the platform says."""
        answer = requests.get(f"{self.facts['platform']}/handles/{handle}", timeout=30)
        held: str | None = answer.json()["account_id"]
        return held

    def approve(self, approval: dict[str, Any], *, by: str) -> Any:
        person, id_ = self.people[by], approval["approval"]["id"]
        shown = {"shown": approval["approval"]["shown"]}
        return person.do(f"/desk/approvals/{id_}/approve", shown, expect=200)


@contextmanager
def running(data: Path, **more: str) -> Iterator[Site]:
    """`onym up --demo` on `data` until the block ends; `more` as of `start`."""
    site = Site(data, start(data, port=0, **more), **more)
    try:
        yield site
    finally:
        stop(site)


def stop(site: Site) -> None:
    """SIGTERM, as a person or a machine that shuts down would."""
    site.process.send_signal(signal.SIGTERM)
    site.process.wait(timeout=20)


def start(
    data: Path, *, port: int, platform: str = "plaza", accounts: str = ""
) -> subprocess.Popen[bytes]:
    """Start and wait until /ready says so; port 0 takes a free one and keeps it in DATA.
    `accounts` is how many a PDS begins with.
    """
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "onym.site.command", "up", "--demo", "--port", str(port)]
    command += ["--data", str(data), "--platform", platform]
    told = environment() | {"ONYM_DEMO_PDS_COUNT": accounts}
    with (data.parent / f"{data.name}.log").open("ab") as said:
        process = subprocess.Popen(command, env=told, stdout=said, stderr=said)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            at = port or int((data / "run" / "port").read_text())
            if requests.get(f"http://127.0.0.1:{at}/ready", timeout=2).status_code == 200:
                return process
        except (requests.RequestException, FileNotFoundError, ValueError):
            pass
        time.sleep(0.2)
    process.kill()
    raise AssertionError((data.parent / f"{data.name}.log").read_text()[-4000:])


def environment() -> dict[str, str]:
    """The machine's, without what the tests set for themselves."""
    ours = ("ONYM_", "DATABASE_", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
