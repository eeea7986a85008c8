"""The demo's platform for tests: started small, with a key of its own, and reached by the port."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.demo.servers import Program

from onym.ports.signed_http import SignedHttp

CLIENT_SECRET = "a secret: of/the site"
BACK = "http://testserver/sign-in/platform/back"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Plaza:
    """A running platform, its clock's file and the market's key."""

    program: Program
    clock: Path
    key: Ed25519PrivateKey

    def port(self, timeout: float = 10.0) -> SignedHttp:
        return SignedHttp(
            base=self.program.base, key_id="onym", private_key=self.key, timeout=timeout
        )

    def sign_up(self, **columns: object) -> tuple[str, str]:
        """A new account on a new handle: (account id, handle)."""
        wished = {"handle": f"new_{next(_numbers)}", **columns}
        made = self.program.pull("/demo/accounts", **wished)
        assert made.status_code == 201, made.text
        return made.json()["account_id"], wished["handle"]

    def arm(self, kind: str, **more: object) -> None:
        armed = self.program.pull("/demo/faults", kind=kind, **more)
        assert armed.status_code == 201, armed.text

    def advance_to(self, seconds: int) -> None:
        """Set the demo clock's offset, as the market does: by rename."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.clock)


def start(directory: Path, *, count: int = 60) -> Plaza:
    """A platform with the first `count` accounts of the sample."""
    key = Ed25519PrivateKey.generate()
    public = directory / "public.pem"
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    clock = directory / "clock"
    options = ["--public-key", str(public), "--clock-file", str(clock), "--count", str(count)]
    options += ["--client-id", "onym", "--client-secret", CLIENT_SECRET, "--redirect-uri", BACK]
    program = Program("onym_demo.platform", directory / "state", options)
    try:
        program.start()
    except AssertionError:
        program.wait_until_healthy()  # a whole sample on a busy machine takes its time
    return Plaza(program, clock, key)


def fresh_key() -> str:
    """An idempotency key that no other test uses, nor another process of this one."""
    return f"key-{os.getpid()}-{next(_numbers)}"


def move(port: SignedHttp, handle: str, source: str | None, to: str, **changes: object):
    """A move in one step, with a high enough fence and a fresh key unless told otherwise."""
    wish = {
        "placeholder": None,
        "expected_holder": source,
        "fence": next(_numbers),
        "key": fresh_key(),
    }
    return port.move(handle=handle, source=source, to=to, **wish | changes)
