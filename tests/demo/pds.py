"""A real Bluesky PDS for tests, with its directory, started once a run by the first that asks.

It stands where the demo's platform stands in `tests.world`: same clock and mailbox, other handles.
"""

from __future__ import annotations

import atexit
import dataclasses
import itertools
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests import make
from tests import world as worlds
from tests.demo.servers import SOURCE, free_port

from onym.ports.atproto import Atproto
from onym.ports.xrpc import Xrpc
from onym.store.platform import Writes
from onym_demo.pds import node

PASSWORD = "administrator"
CUSTODIAN = "custodian"
NAMES = Path(__file__).with_name("names.js")
"""Leads MARKET's name to this machine, in the PDS alone."""

MARKET = "market.onym"
START_SECONDS = 60
_numbers = itertools.count(1)


@dataclass(slots=True)
class Pds:
    """The running server; `data` is its state, `clock` the file of the demo's offset."""

    data: Path
    clock: Path
    port: int
    plc_port: int
    smtp: int
    processes: dict[str, subprocess.Popen[bytes]]
    code: str = ""
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        """How it calls itself."""
        return f"http://localhost:{self.port}"

    @property
    def program(self) -> Pds:
        return self

    def start(self, part: str) -> None:
        """`plc` or `server`, as the supervisor starts them."""
        assert node.PROGRAM.exists(), "the PDS is not installed: run tools/pds/install"
        command = [sys.executable, "-m", "onym_demo.pds", part, "--data", str(self.data)]
        command += ["--port", str(self.port), "--plc-port", str(self.plc_port)]
        command += ["--smtp-port", str(self.smtp), "--clock-file", str(self.clock)]
        told = {name: text for name, text in os.environ.items() if not name.startswith("ONYM_")}
        told |= {"PYTHONPATH": str(SOURCE), node.ADMIN: PASSWORD}
        told |= {"NODE_OPTIONS": f"--require={NAMES}"}
        told |= {"NODE_EXTRA_CA_CERTS": str(certificate(self.data.parent)[0])}
        log = (self.data / f"{part}.log").open("ab")
        self.processes[part] = subprocess.Popen(command, env=told, stdout=log, stderr=log)
        log.close()
        self.wait(part)

    def wait(self, part: str) -> None:
        where = self.plc_port if part == "plc" else self.port
        path = "/_health" if part == "plc" else "/xrpc/_health"
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.processes[part].poll() is None, (self.data / f"{part}.log").read_text()
            try:
                if requests.get(f"http://127.0.0.1:{where}{path}", timeout=2).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError(f"the {part} did not answer in time")

    def kill(self) -> None:
        """kill -9 of both."""
        for process in self.processes.values():
            process.kill()
            process.wait(timeout=10)

    # ---- as anybody may ask

    def ask(self, method: str, **wanted: Any) -> requests.Response:
        return requests.get(f"{self.base}/xrpc/{method}", params=wanted, timeout=30)

    def resolve(self, handle: str) -> str | None:
        """Whom the PDS's own resolveHandle names."""
        said = self.ask("com.atproto.identity.resolveHandle", handle=f"{handle}.test")
        return str(said.json()["did"]) if said.ok else None

    def describe(self, did: str) -> dict[str, Any]:
        """What the PDS's own describeRepo says."""
        told: dict[str, Any] = self.ask("com.atproto.repo.describeRepo", repo=did).json()
        return told

    # ---- as a holder

    def write_profile(self, did: str, description: str) -> None:
        """What the holder says of the account in its profile."""
        method = f"{self.base}/xrpc/com.atproto.server.createSession"
        who = {"identifier": did, "password": self.passwords[did]}
        token = requests.post(method, json=who, timeout=30).json()["accessJwt"]
        record = {"$type": "app.bsky.actor.profile", "description": description}
        wish = {"repo": did, "collection": record["$type"], "rkey": "self", "record": record}
        said = requests.post(
            f"{self.base}/xrpc/com.atproto.repo.putRecord",
            json=wish,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        assert said.ok, said.text

    def signs_in(self, did: str, password: str) -> bool:
        """Whether the password opens the account; also one of an app."""
        who = {"identifier": did, "password": password}
        said = self.order("com.atproto.server.createSession", public=True, **who)
        assert said.status_code in (200, 401), said.text
        return bool(said.ok)

    def app_password(self, did: str) -> str:
        """Another way in that the holder has made for an app."""
        who = {"identifier": did, "password": self.passwords[did]}
        session = self.order("com.atproto.server.createSession", public=True, **who).json()
        made = requests.post(
            f"{self.base}/xrpc/com.atproto.server.createAppPassword",
            json={"name": "phone"},
            headers={"Authorization": f"Bearer {session['accessJwt']}"},
            timeout=30,
        )
        return str(made.json()["password"])

    # ---- as its administrator

    def order(self, method: str, *, public: bool = False, **wish: Any) -> requests.Response:
        who = None if public else ("admin", PASSWORD)
        return requests.post(f"{self.base}/xrpc/{method}", json=wish, auth=who, timeout=30)

    def sign_up(self, **columns: Any) -> tuple[str, str]:
        """A new account on a new handle: (its did, the label)."""
        label = columns.get("handle") or f"p{os.getpid()}-{next(_numbers)}"
        if not self.code:
            made = self.order("com.atproto.server.createInviteCode", useCount=100_000)
            self.code = made.json()["code"]
        password = columns.get("password") or secrets.token_urlsafe(8)
        said = self.order(
            "com.atproto.server.createAccount",
            public=True,
            handle=f"{label}.test",
            email=columns.get("email") or f"{label}@people.example",
            password=password,
            inviteCode=self.code,
        )
        assert said.ok, said.text
        did = str(said.json()["did"])
        self.passwords[did] = password
        return did, label

    def rename(self, did: str, label: str) -> requests.Response:
        method = "com.atproto.admin.updateAccountHandle"
        return self.order(method, did=did, handle=f"{label}.test")

    def suspend(self, did: str, *, applied: bool = True) -> None:
        subject = {"$type": "com.atproto.admin.defs#repoRef", "did": did}
        takedown = {"applied": applied, "ref": "test"}
        method = "com.atproto.admin.updateSubjectStatus"
        assert self.order(method, subject=subject, takedown=takedown).ok

    def label(self, did: str) -> str:
        """What the account is called, suspended or not."""
        return str(self.seen(did)["handle"]).removesuffix(".test")

    def mail_of(self, did: str) -> str:
        """The address in force."""
        return str(self.seen(did)["email"])

    def seen(self, did: str) -> dict[str, Any]:
        method = f"{self.base}/xrpc/com.atproto.admin.getAccountInfo"
        told = requests.get(method, params={"did": did}, auth=("admin", PASSWORD), timeout=30)
        found: dict[str, Any] = told.json()
        return found

    # ---- as tests.world asks of a platform

    def platform(self, timeout: float = 10.0, *, base: str = "", **changes: Any) -> Atproto:
        """The port; `base` is another way to the same server, `xrpc` another who asks."""
        asking = Xrpc(base=base or self.base, password=PASSWORD, timeout=timeout)
        wanted: dict[str, Any] = {"xrpc": asking, "custodian": CUSTODIAN, "mails": True}
        wanted |= {"journal": Writes(namespace="demo"), "quiet": 0.2}
        return Atproto(**wanted | changes)

    def advance_to(self, seconds: int) -> None:
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.clock)


class Outside(worlds.Outside):
    """The outside of the other tests, with a PDS as its platform."""

    def platform(self, timeout: float = 10.0) -> Any:
        pds: Any = self.plaza
        return pds.platform(timeout, hands_over=True)


class World(worlds.World):
    """A market whose handles are labels."""

    def account(self, **columns: Any) -> tuple[str, str]:
        made: tuple[str, str] = self.out.plaza.sign_up(**columns)
        return made

    def stock(self, **changes: Any) -> str:
        name = f"s{os.getpid()}-{next(_numbers)}"
        make.handle(self.place, name, **{"state": "released", "account_id": None} | changes)
        return name


@lru_cache(maxsize=1)
def certificate(folder: Path) -> tuple[Path, Path]:
    """MARKET's certificate and its key, which the PDS believes: it reads who the market is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MARKET)])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(MARKET)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "market.pem", folder / "market.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return files


@lru_cache(maxsize=1)
def running() -> Pds:
    """Started once, killed with the run; with a custodian."""
    out = worlds.outside()
    data = out.folder / "pds"
    data.mkdir()
    made = Pds(data, out.plaza.clock, free_port(), free_port(), out.smtp, {})
    atexit.register(_end, made, os.getpid())
    made.start("plc")
    made.start("server")
    made.sign_up(handle=CUSTODIAN, email="custodian@plaza.example")
    return made


def _end(made: Pds, owner: int) -> None:
    if os.getpid() == owner:
        made.kill()


def market(settings: Any, **changes: Any) -> World:
    """An open market on the PDS and a fresh database."""
    pds: Any = running()
    common = worlds.outside()
    facts = {field.name: getattr(common, field.name) for field in dataclasses.fields(common)}
    out = Outside(**facts | {"plaza": pds})
    made = worlds.market(settings, out=out, kind=World, **{"profile": "atproto"} | changes)
    assert isinstance(made, World)
    return made
