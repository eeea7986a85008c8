"""Asking the operator's other systems, at addresses of their own, in the platform's signed way."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, Protocol

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onym.ports.answers import LONGEST, whole
from onym.ports.platform import Answer, Outcome
from onym.ports.signatures import Signer

_REFUSALS = frozenset({400, 404, 409, 410, 412, 422})


class Hooks(Protocol):
    """Answers an Outcome and never raises for the outside."""

    def call(self, *, url: str, wish: Mapping[str, Any], key: str) -> Outcome: ...


class SignedHooks:
    """Signed as docs/guides/platform.md says; safe to share between threads."""

    def __init__(
        self, *, key_id: str, private_key: Ed25519PrivateKey, timeout: float = 10.0
    ) -> None:
        self._timeout = timeout
        self._signer = Signer(key_id=key_id, private_key=private_key)
        waits = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool = urllib3.PoolManager(4, timeout=waits, retries=False)

    def call(self, *, url: str, wish: Mapping[str, Any], key: str) -> Outcome:
        """One `POST` of `wish` to `url` under `key`; no answer leaves the outcome open."""
        body = json.dumps(wish, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        signed = self._signer.signed(method="POST", url=url, headers=headers, body=body)
        try:
            answer = self._pool.request(
                "POST", url, body=body, headers=signed, redirect=False, preload_content=False
            )
            raw = whole(answer, seconds=self._timeout, most=LONGEST)
            return _outcome(answer.status, json.loads(raw))
        except (
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as trouble:
            return Outcome(Answer.UNKNOWN, code="no_answer", detail=str(trouble))


def _outcome(status: int, told: object) -> Outcome:
    facts = told if isinstance(told, dict) else {}
    if status in (200, 201) and facts:
        return Outcome(Answer.DONE, facts=facts)
    code = facts.get("code")  # without one a gateway has said it in the hook's stead (ADR 0071)
    if status in _REFUSALS and isinstance(code, str) and code not in ("", "in_progress"):
        return Outcome(Answer.REFUSED, code=code, facts=facts)
    return Outcome(Answer.UNKNOWN, code=str(code or f"http_{status}"), facts=facts)
