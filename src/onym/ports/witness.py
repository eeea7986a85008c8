"""Witnesses: strangers who cosign a checkpoint of the log once it extends the last they signed.

The protocol is C2SP tlog-witness; docs/guides/witnesses.md says how to name some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import urllib3

from onym.core.errors import Malformed
from onym.tlog import checkpoint

LARGEST = 100_000


@dataclass(frozen=True, slots=True)
class Said:
    """A witness's answer: an HTTP status and its text; status 0 is no answer at all."""

    status: int
    text: str


class Witness(Protocol):
    """What jobs see of a witness."""

    @property
    def key(self) -> checkpoint.Verifier:
        """The key that its cosignatures are by."""

    def add_checkpoint(self, request: bytes) -> Said:
        """Hand in a checkpoint with its consistency proof; never raises."""


@dataclass(frozen=True, slots=True)
class HttpWitness:
    """A witness at `base`, asked over HTTP with no more patience than `timeout` seconds."""

    base: str
    key: checkpoint.Verifier
    timeout: float = 5.0

    def add_checkpoint(self, request: bytes) -> Said:
        """`POST <base>/add-checkpoint`; redirects are not followed."""
        try:
            answer = urllib3.request(
                "POST",
                f"{self.base}/add-checkpoint",
                body=request,
                timeout=self.timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            data = answer.read(LARGEST)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as fault:
            return Said(0, type(fault).__name__)
        return Said(answer.status, data.decode("utf-8", "replace"))


def parse(text: str, *, timeout: float = 5.0) -> tuple[HttpWitness, ...]:
    """Witnesses as settings name them: `URL VKEY`, several apart by `;` or on lines of their own.

    Refuses `malformed` for what is no http address or no key of a witness, and for a name twice.
    """
    lines = [line.split() for line in text.replace(";", "\n").splitlines()]
    found = tuple(_witness(line, timeout) for line in lines if line)
    if len({one.key.name for one in found}) != len(found):
        raise Malformed("a witness is named twice")
    return found


def _witness(words: list[str], timeout: float) -> HttpWitness:
    if len(words) != 2:
        raise Malformed(f"a witness is named as URL VKEY, not as {' '.join(words)!r}")
    base, vkey = words[0].rstrip("/"), words[1]
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Malformed(f"not the address of a witness: {base}")
    try:
        key = checkpoint.Verifier.parse(vkey)
    except checkpoint.Unverified as fault:
        raise Malformed(f"not the key of a witness: {vkey}: {fault}") from fault
    if key.kind != checkpoint.COSIGNATURE:
        raise Malformed(f"{key.name} is the key of a log, not of a witness")
    return HttpWitness(base, key, timeout)
