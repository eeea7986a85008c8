"""The people of the demo's PDS: they sign up once, and those who live write as time goes by.

Every write is a real one, made at the demo's time, so a revision says when its account last wrote.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from onym_demo.clock import Clock
from onym_demo.pds import node, people

COUNT = 300
PARALLEL = 6
ROUND_SECONDS = 20 * 86_400
"""Whoever lives writes at least so often, of the demo's time."""

LOOK_SECONDS = 0.05
SERVICE = "did:web:localhost"


class Pds:
    """The server as its people and its administrator reach it."""

    def __init__(self, *, data: Path, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/xrpc/"
        self._key = node.secret(data, "jwt").encode()
        self._people = node.secret(data, "people").encode()
        self._admin = ("admin", os.environ.get(node.ADMIN, ""))
        self._lines = requests.Session()
        self._lines.mount("http://", HTTPAdapter(pool_maxsize=PARALLEL))

    def answers(self) -> bool:
        try:
            return self._lines.get(self._base + "_health", timeout=5).ok
        except requests.RequestException:
            return False

    def order(self, method: str, wish: Mapping[str, Any], *, token: str | None = None) -> Any:
        """As the administrator, with an account's token, or with none where it is empty."""
        authority: Any = {"auth": self._admin} if token is None else {}
        if token:
            authority = {"headers": {"Authorization": f"Bearer {token}"}}
        said = self._lines.post(self._base + method, json=wish, timeout=60, **authority)
        if not said.ok:
            raise RuntimeError(f"{method}: {said.status_code} {said.text[:200]}")
        return said.json() if said.content else {}

    def resolve(self, handle: str) -> str | None:
        method = self._base + "com.atproto.identity.resolveHandle"
        said = self._lines.get(method, params={"handle": handle}, timeout=60)
        return str(said.json()["did"]) if said.ok else None

    def password(self, label: str) -> str:
        """What the account signs in with; the same again after a sign-up that was cut short."""
        mark = hmac.digest(self._people, label.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(mark[:12]).decode()

    def token(self, did: str, now: float) -> str:
        """As the server itself signs them (RFC 9068): 300 sign-ins would take minutes."""
        head = {"typ": "at+jwt", "alg": "HS256"}
        body: dict[str, Any] = {"scope": "com.atproto.access", "aud": SERVICE, "sub": did}
        body |= {"iat": int(now), "exp": int(now) + 600}
        text = f"{_part(head)}.{_part(body)}"
        mark = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def run(*, data: Path, port: int, clock_file: Path | None, count: int) -> None:
    """Sign everybody up, once; then live until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    clock = Clock(clock_file)
    pds = Pds(data=data, port=port)
    while not pds.answers():
        time.sleep(0.1)
    known = data / "people.json"
    if not known.exists():
        _write(known, _sign_up(pds, count))
    told = json.loads(known.read_text())
    while True:
        _live(pds, clock, told["lively"], data / "lived")
        time.sleep(LOOK_SECONDS)


def _sign_up(pds: Pds, count: int) -> dict[str, Any]:
    """Everybody at the same day of the demo's time; answers who they are."""
    wanted = people.everybody(count)
    made = [people.Person(people.CUSTODIAN, "custodian@plaza.example", lives=False), *wanted]
    wish = {"useCount": len(made) + 1}
    code = pds.order("com.atproto.server.createInviteCode", wish)["code"]
    with ThreadPoolExecutor(PARALLEL) as threads:
        dids = list(threads.map(lambda one: _join(pds, one, code), made))
    ids = {one.label: did for one, did in zip(made, dids, strict=True)}
    for one in wanted:
        if one.suspended:
            _suspend(pds, ids[one.label])
    return {
        "custodian": ids[people.CUSTODIAN],
        "people": {role: ids.get(label) for role, label in people.ROLES.items()},
        "passwords": {role: pds.password(label) for role, label in people.ROLES.items()},
        "lively": [ids[one.label] for one in wanted if one.lives and not one.suspended],
        "handles": {ids[one.label]: one.label for one in wanted},
    }


def _join(pds: Pds, one: people.Person, code: str) -> str:
    """A sign-up that was cut short by a kill is found again by its handle. Some handles a host
    gives by its administrator alone: their holders come by another name and are renamed.
    """
    handle, first = f"{one.label}.test", f"{one.label[:16]}-0.test"
    known = pds.resolve(handle)
    if known:
        return known
    did = pds.resolve(first)
    wish = {"handle": handle, "email": one.email, "inviteCode": code}
    wish["password"] = pds.password(one.label)
    try:
        if did is None:
            return str(pds.order("com.atproto.server.createAccount", wish, token="")["did"])
    except RuntimeError as refusal:
        if "HandleNotAvailable" not in str(refusal):
            raise
        wish["handle"] = first
        did = str(pds.order("com.atproto.server.createAccount", wish, token="")["did"])
    pds.order("com.atproto.admin.updateAccountHandle", {"did": did, "handle": handle})
    return did


def _suspend(pds: Pds, did: str) -> None:
    subject = {"$type": "com.atproto.admin.defs#repoRef", "did": did}
    wish = {"subject": subject, "takedown": {"applied": True, "ref": "the-demo"}}
    pds.order("com.atproto.admin.updateSubjectStatus", wish)


def _live(pds: Pds, clock: Clock, dids: Iterable[str], lived: Path) -> None:
    """One round of writing where it is due; the round's instant is kept after it."""
    now = clock.market()
    if lived.exists() and now - float(lived.read_text()) < ROUND_SECONDS:
        return
    texts = people.posts()
    with ThreadPoolExecutor(PARALLEL) as threads:
        list(threads.map(lambda pair: _post(pds, pair[0], pair[1], now), _texts(dids, texts, now)))
    _write(lived, now)


def _texts(dids: Iterable[str], texts: list[str], now: float) -> list[tuple[str, str]]:
    """Each account with one of the texts, another one each round."""
    turn = int(now) // ROUND_SECONDS
    return [(did, texts[(place + turn) % len(texts)]) for place, did in enumerate(dids)]


def _post(pds: Pds, did: str, text: str, now: float) -> None:
    """Whoever was suspended meanwhile does not write, and nobody else waits for that."""
    at = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
    record = {"$type": "app.bsky.feed.post", "text": text, "createdAt": at}
    wish = {"repo": did, "collection": "app.bsky.feed.post", "record": record}
    try:
        pds.order("com.atproto.repo.createRecord", wish, token=pds.token(did, now))
    except RuntimeError as refusal:
        print(refusal, file=sys.stderr, flush=True)


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _write(path: Path, value: Any) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(value))
    fresh.replace(path)
