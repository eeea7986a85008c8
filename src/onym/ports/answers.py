"""Answers in JSON from addresses that the operator named: bounded, no redirect followed, no proxy.

What strangers name is asked in ports/webhooks.py instead.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from onym.core.errors import PlatformUnavailable

_LONGEST_ANSWER: Final = 1024 * 1024
_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """`facts` is empty where the body is no JSON object; `nonce` is the header `DPoP-Nonce`."""

    status: int
    facts: Mapping[str, Any]
    nonce: str = ""


class Answers:
    """Safe to share between threads; `timeout` in seconds for the connection and each wait."""

    def __init__(self, timeout: float) -> None:
        waits = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool = urllib3.PoolManager(2, timeout=waits, retries=False)

    def get(self, url: str) -> Answer:
        """Raises PlatformUnavailable without an answer, or for one that is no JSON."""
        return self._ask("GET", url, None, {})

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """The same for a form, as OAuth's endpoints take it."""
        typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", url, urlencode(form), typed)

    def _ask(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers={"Accept": "application/json", **headers},
                redirect=False,
                preload_content=False,
            )
            raw = answer.read(_LONGEST_ANSWER)
            answer.release_conn()
            told = json.loads(raw or b"{}")
        except _TROUBLE as trouble:
            raise PlatformUnavailable(f"the platform's sign-in gives no answer: {trouble}") from (
                trouble
            )
        nonce = answer.headers.get("DPoP-Nonce", "")
        return Answer(answer.status, told if isinstance(told, dict) else {}, nonce)
