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
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from onym.site import database

HISTORY_DAYS = 126
"""How far in the past the demo's market opened."""

PDS_DAYS = 620
"""The same on a PDS, whose accounts are as old as the day that they sign up on."""

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
    from onym.site import demo_history, demo_pds, demo_time

    live = demo_pds.live if settings.PLATFORM_KIND == "atproto" else demo_history.live
    people, members = live(data, steps, words.wait)
    demo_time.arrive()
    _write(data, people, members, samples=steps.of("samples"))


class Steps:
    """What is done already, with what came of it; written after each step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name: str) -> dict[str, Any]:
        """What came of a step; nothing of one that this platform's demo does not have."""
        found: dict[str, Any] = self._done.get(name, {})
        return found

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


def found_market(accounts: Mapping[str, str], policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The namespace, its documents, and the six people of demo.json; the last of `policies`, as
    TOML, is the one that counts. `accounts` are the platform's, by role.
    """
    from django.conf import settings

    from onym import ports
    from onym.core import guidelines
    from onym.flows import documents, people
    from onym.site.demo_time import now

    platform = ports.platform(NAMESPACE).capabilities()
    people.found(
        namespace=NAMESPACE,
        title="Handle Marketplace",
        profile=platform.profile,
        currency=settings.CURRENCY,
        custodian=platform.custodian or "custodian",
        phase="closed",
        release_stop=False,
    )
    for text in policies:
        documents.publish(namespace=NAMESPACE, kind="policy", text=text)
    fees = resources.files("onym.core").joinpath("data/fees/onym-2026.toml").read_text()
    documents.publish(namespace=NAMESPACE, kind="fees", text=fees)
    documents.publish(namespace=NAMESPACE, kind="guidelines", text=guidelines.built_in())
    since = now() - timedelta(days=LONG_AGO_DAYS)
    return {role: _person(role, since, accounts.get(role)) for role in PEOPLE}


def policy(name: str) -> str:
    """A policy that comes with the product, as TOML."""
    return resources.files("onym.core").joinpath(f"policies/{name}.toml").read_text()


def _person(role: str, since: datetime, account: str | None) -> dict[str, Any]:
    from onym.flows import factors, people

    password = secrets.token_urlsafe(9)
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
        give_payout_account(member.id, MAILS[role])
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


def second_account(people_: Mapping[str, Any], account: str) -> str:
    """A second account of the seller's: nobody sells the only one that they are linked to."""
    from onym.flows import people
    from onym.site.demo_time import now

    since = now() - timedelta(days=LONG_AGO_DAYS)
    people.link(member=people_["seller"]["member"], account_id=account, since=since)
    return account


def give_payout_account(member: str, mail: str) -> None:
    """The member may be paid out from now on."""
    import requests
    from django.conf import settings

    from onym import ports
    from onym.flows import people

    provider = ports.payments(NAMESPACE)
    payout = provider.connect(key=f"connect-{member}", mail=mail)
    done = f"{settings.PAYMENTS_URL}/demo/accounts/{payout}/complete"
    requests.post(done, json={}, timeout=10).raise_for_status()
    people.payout_account(member=member, provider=provider.name, account=payout)


def _write(
    data: Path,
    people: dict[str, Any],
    members: list[dict[str, Any]],
    *,
    samples: dict[str, Any],
) -> None:
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
        "samples": samples,
    }
    write_whole(data / "demo.json", json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
