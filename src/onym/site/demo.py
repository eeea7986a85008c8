"""The demo's first start: `python -m onym.site.demo` makes a lived-in market, then demo.json.

Everything goes through the real flows and the real outside world, on a clock that begins in the
past and arrives at today. Started again after a kill it goes on where it was.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from onym.site import database

HISTORY_DAYS = 126
"""How far in the past the demo's market opened."""

NAMESPACE = "demo"
LONG_AGO_DAYS = 400
PEOPLE = ("buyer", "seller", "acme", "team1", "team2", "operator")
STAFF = {"team1": "curator", "team2": "curator", "operator": "operator"}
NAMES = {"buyer": "Nadia Roux", "seller": "Leila Mansour", "acme": "Acme", "team1": "Ines Duarte"}
NAMES |= {"team2": "Tom Okafor", "operator": "The operator of Plaza"}
MAILS = {"buyer": "nadia@mail.example", "seller": "leila@mail.example"}
MAILS |= {"acme": "handles@acme.example", "team1": "ines@team.example"}
MAILS |= {"team2": "tom@team.example", "operator": "operator@plaza.example"}


def main() -> None:
    """Do what is not done yet; the last thing is to write demo.json, by rename."""
    database.set_up()
    from django.conf import settings

    data = Path(settings.DATA)
    if (data / "demo.json").exists():
        return
    words = _build_words(data)
    steps = Steps(data / "demo" / "steps.json")
    from onym.site import demo_accounts as accounts
    from onym.site import demo_history as history
    from onym.site import demo_time

    steps.once("clock", lambda: demo_time.begin(HISTORY_DAYS))
    people = steps.once("people", _people)
    chosen = steps.once("directory", lambda: accounts.begin(data))
    if words.wait() != 0:
        raise SystemExit("the lexicon could not be built")
    members = history.live(data, people, chosen, steps)
    steps.once("plan", lambda: history.announce(data, people))
    demo_time.arrive()
    _write(data, people, members)


class Steps:
    """What is done already, with what came of it; written after each step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def once(self, name: str, step: Callable[[], Any]) -> Any:
        """The step's result: of now, or of the start that did it."""
        if name not in self._done:
            began = time.monotonic()
            self._done[name] = step()
            write_whole(self._path, json.dumps(self._done))
            print(f"demo: {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return self._done[name]


def write_whole(path: Path, text: str) -> None:
    """Readable by the owner alone, under its name only once it is whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _build_words(data: Path) -> subprocess.Popen[bytes]:
    """The lexicon, beside everything else: it takes one core for some seconds."""
    made = (data / "lexicon").exists()
    command = ["-c", ""] if made else ["-m", "onym.sweep.lexicon", str(data / "lexicon")]
    return subprocess.Popen([sys.executable, *command])  # noqa: S603 - ours


def _people() -> dict[str, dict[str, Any]]:
    """The namespace, its documents, and the six people of demo.json."""
    from django.conf import settings

    from onym import ports
    from onym.core import guidelines
    from onym.flows import documents, people
    from onym.site.demo_time import now

    custodian = ports.platform(NAMESPACE).capabilities().custodian or "custodian"
    people.found(
        namespace=NAMESPACE,
        title="Handle Marketplace",
        profile="x",
        currency=settings.CURRENCY,
        custodian=custodian,
        phase="closed",
        release_stop=False,
    )
    core = resources.files("onym.core")
    for name in ("onym-default", "onym-atproto", "x-2023"):
        text = core.joinpath(f"policies/{name}.toml").read_text()
        documents.publish(namespace=NAMESPACE, kind="policy", text=text)
    fees = core.joinpath("data/fees/onym-2026.toml").read_text()
    documents.publish(namespace=NAMESPACE, kind="fees", text=fees)
    documents.publish(namespace=NAMESPACE, kind="guidelines", text=guidelines.built_in())
    since = now() - timedelta(days=LONG_AGO_DAYS)
    return {role: _person(role, since) for role in PEOPLE}


def _person(role: str, since: datetime) -> dict[str, Any]:
    import requests
    from django.conf import settings

    from onym import ports
    from onym.flows import factors, people

    password, account = secrets.token_urlsafe(9), ACCOUNTS.get(role)
    member = people.join(
        namespace=NAMESPACE,
        name=NAMES[role],
        mail=MAILS[role],
        password=password,
        is_house=role == "operator",
        since=since,
    )
    if account:
        people.link(member=member.id, account_id=account, since=since)
        provider = ports.payments(NAMESPACE)
        payout = provider.connect(key=f"connect-{member.id}", mail=MAILS[role])
        done = f"{settings.PAYMENTS_URL}/demo/accounts/{payout}/complete"
        requests.post(done, json={}, timeout=10).raise_for_status()
        people.payout_account(member=member.id, provider=provider.name, account=payout)
    if role in STAFF:
        people.grant(member=member.id, role=STAFF[role])
    secret = factors.equip(
        member=member.id, since=datetime.now(UTC) - timedelta(days=LONG_AGO_DAYS)
    )
    scopes = ("read", "desk", "buy") if role in STAFF else ("read", "buy", "sell")
    return {
        "mail": MAILS[role],
        "password": password,
        "token": people.give_token(member=member.id, scopes=scopes),
        "totp_secret": secret,
        "member": member.id,
        "account_id": account,
    }


ACCOUNTS = {"buyer": "1002", "seller": "1003", "acme": "1004"}


def _write(data: Path, people: dict[str, Any], members: list[dict[str, Any]]) -> None:
    from django.conf import settings

    from onym.flows import log

    log.integrate()
    facts = {
        "base": settings.BASE_URL,
        "platform": settings.PLATFORM_URL,
        "mailbox": settings.MAILBOX_URL,
        "smtp": f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
        "payments": settings.PAYMENTS_URL,
        "press": settings.PRESS_ADDRESS,
        "log_key": str(log.signer().verifier),
        "people": people,
        "members": members,
    }
    write_whole(data / "demo.json", json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
