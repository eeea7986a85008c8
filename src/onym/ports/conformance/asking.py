"""Asking a platform as Onym does, or wrongly on purpose."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onym.ports.answers import whole
from onym.ports.signatures import Signer

_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
_numbers = itertools.count(1)


class Silent(Exception):
    """No answer, or half of one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `said` is its JSON, None where there is none."""

    status: int
    kind: str
    said: Any

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.said if isinstance(self.said, dict) else {}

    @property
    def code(self) -> str:
        return str(self.facts.get("code", ""))

    def __str__(self) -> str:
        told = self.code or json.dumps(self.said, ensure_ascii=False)[:120]
        return f"{self.status} {told}"


@dataclass(frozen=True, slots=True)
class Wrong:
    """How a request differs from one that is signed as agreed; empty means not at all.

    `path`, `method`, `key` and `body` are what was signed in the place of what is sent.
    """

    unsigned: bool = False
    signer: Signer | None = None
    created: datetime | None = None
    path: str | None = None
    method: str | None = None
    key: str | None = None
    body: bytes | None = None
    fresh_digest: bool = False
    uncovered: tuple[str, ...] = ()


AS_AGREED: Final = Wrong()


def fresh_key() -> str:
    """An idempotency key that nobody has used; it says where it is from."""
    return f"check-{secrets.token_hex(8)}-{next(_numbers)}"


class Asker:
    """Signed requests to one platform, unsigned without a key; safe to share between threads."""

    def __init__(
        self, *, base: str, key_id: str, private_key: Ed25519PrivateKey | None, timeout: float
    ) -> None:
        self.base, self._timeout = base.rstrip("/"), timeout
        self.refusals: list[tuple[str, Reply]] = []
        self._signer = Signer(key_id=key_id, private_key=private_key) if private_key else None
        self._pool = urllib3.PoolManager(
            maxsize=8, timeout=urllib3.Timeout(connect=timeout, read=timeout)
        )

    @property
    def signs(self) -> bool:
        """Whether it has a key to sign with."""
        return self._signer is not None

    def read(self, path: str, wrong: Wrong = AS_AGREED) -> Reply:
        """GET; raises Silent."""
        return self._ask("GET", path, None, {}, wrong)

    def write(
        self,
        path: str,
        wish: Mapping[str, Any],
        *,
        key: str | None = None,
        wrong: Wrong = AS_AGREED,
    ) -> Reply:
        """POST under a fresh key, or the one given; raises Silent."""
        body = json.dumps(wish, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        if key != "":
            headers["Idempotency-Key"] = key or fresh_key()
        return self._ask("POST", path, body, headers, wrong)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], wrong: Wrong
    ) -> Reply:
        signer = None if wrong.unsigned else wrong.signer or self._signer
        sent = self._signed(signer, method, path, body, headers, wrong) if signer else headers
        try:
            answer = self._pool.request(
                method,
                self.base + path,
                body=body,
                headers=sent,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            raw = whole(answer, seconds=self._timeout)
        except _TROUBLE as trouble:
            raise Silent(f"{method} {urlsplit(path).path}: {trouble}") from trouble
        return self._kept(f"{method} {path}", answer, raw)

    def _signed(
        self,
        signer: Signer,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        wrong: Wrong,
    ) -> dict[str, str]:
        """`headers` with a signature over what `wrong` says, but for the body's true fields."""
        named = {**headers, "Idempotency-Key": wrong.key} if wrong.key else headers
        signed = signer.signed(
            method=wrong.method or method,
            url=self.base + (wrong.path or path),
            headers=named,
            body=wrong.body or body,
            created=wrong.created,
            uncovered=wrong.uncovered,
        )
        if wrong.fresh_digest:
            honest = signer.signed(method=method, url=self.base, headers={}, body=body)
            signed["Content-Digest"] = honest["Content-Digest"]
        return signed | headers

    def _kept(self, what: str, answer: urllib3.BaseHTTPResponse, raw: bytes) -> Reply:
        try:
            said = json.loads(raw)
        except ValueError:
            said = None
        reply = Reply(answer.status, answer.headers.get("Content-Type", ""), said)
        if 400 <= reply.status < 500:
            self.refusals.append((what, reply))
        return reply
