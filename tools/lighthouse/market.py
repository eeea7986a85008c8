"""The demo that Lighthouse looks at: one of our own or one that runs, with a checkout waiting."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

FIRST_START_SECONDS = 300
HANDLE = "moon"
PRICE = {"minor": 1_200_000, "currency": "USD"}


@contextmanager
def demo() -> Iterator[dict[str, Any]]:
    """`demo.json` of an `onym up --demo` on a DATA that goes when we do."""
    with tempfile.TemporaryDirectory(prefix="lighthouse-") as data:
        command = [sys.executable, "-m", "onym.site.command", "up", "--demo", "--data", data]
        command += ["--port", "0"]
        plain = {key: value for key, value in os.environ.items() if not key.startswith("ONYM_")}
        plain.pop("DATABASE_URL", None)
        with subprocess.Popen(  # noqa: S603 - our own program
            command, env=plain, stdout=subprocess.DEVNULL
        ) as running:
            try:
                yield _told(Path(data) / "demo.json", running)
            finally:
                running.send_signal(signal.SIGINT)


def _told(file: Path, running: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + FIRST_START_SECONDS
    while not file.exists():
        if running.poll() is not None or time.monotonic() > until:
            raise SystemExit("the demo does not start")
        time.sleep(0.5)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@contextmanager
def listed(told: dict[str, Any]) -> Iterator[str]:
    """The id of a listing of the seller's, in a market that is open to all for the while."""
    operator, seller = Member(told, "operator"), Member(told, "seller")
    opened = operator.tries("post", "/desk/phase", {"phase": "open"})
    wish = {"handle": HANDLE, "price": PRICE}
    listing = seller.says("post", "/listings", wish)["id"]
    try:
        yield listing
    finally:
        seller.tries("delete", f"/listings/{listing}")
        if opened:
            operator.says("post", "/desk/phase", {"phase": "invited"})


@contextmanager
def bought(told: dict[str, Any], listing: str) -> Iterator[str]:
    """The id of a sale that waits for the buyer's money; taken back afterwards."""
    buyer = Member(told, "buyer")
    sale = buyer.says("post", f"/listings/{listing}/buy")["id"]
    try:
        yield sale
    finally:
        buyer.says("post", f"/sales/{sale}/cancel")


class Member:
    """One of the demo's people as a program with a token."""

    def __init__(self, told: dict[str, Any], role: str) -> None:
        self._root = f"{told['base']}/api/v1"
        self._token = told["people"][role]["token"]

    def says(self, verb: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer to a write; a refusal ends us."""
        sent = self._sent(verb, path, body)
        if not sent.ok:
            raise SystemExit(f"{path}: {sent.text}")
        found: dict[str, Any] = sent.json()
        return found

    def tries(self, verb: str, path: str, body: Any = None) -> bool:
        """Whether a write that may be done already did anything."""
        return self._sent(verb, path, body).ok

    def _sent(self, verb: str, path: str, body: Any) -> requests.Response:
        named = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": uuid.uuid4().hex}
        return requests.request(verb, self._root + path, json=body, headers=named, timeout=30)


def cookie(base: str, role: str) -> str:
    """The session of the demo's one-click sign-in."""
    with requests.Session() as browser:
        form = browser.get(f"{base}/en/sign-in", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        if token is None:
            raise SystemExit("the sign-in page has no form")
        typed = {"csrfmiddlewaretoken": token[1], "person": role, "next": "/en/me"}
        led = browser.post(f"{base}/en/sign-in/demo", typed, timeout=30, allow_redirects=False)
        if led.status_code != 302 or "sessionid" not in browser.cookies:
            raise SystemExit("the one-click sign-in opened nothing; is it a demo?")
        return f"sessionid={browser.cookies['sessionid']}"
