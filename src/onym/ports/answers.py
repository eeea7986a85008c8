"""Answers in JSON from addresses that the operator named: bounded, no redirect followed, no proxy.

What strangers name is asked in ports/webhooks.py instead.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from onym.core.errors import PlatformUnavailable

LONGEST: Final = 1024 * 1024
"""Bytes of an answer about one thing."""

LONGEST_LIST: Final = 32 * LONGEST
"""Bytes of a page of a list."""

_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


def whole(response: urllib3.BaseHTTPResponse, *, seconds: float, most: int = LONGEST_LIST) -> bytes:
    """All of an answer's body; what is longer than `most` bytes, or drips for longer than
    `seconds`, is given up with an OSError, and its connection with it.
    """
    until, raw = time.monotonic() + seconds, bytearray()
    try:
        while part := response.read1(65536):
            raw += part
            if len(raw) >= most:
                raise OSError("the answer is too long")
            if time.monotonic() > until:
                raise TimeoutError("the answer takes too long")
    except BaseException:
        response.close()  # half an answer must not be taken for the next one's beginning
        raise
    finally:
        response.release_conn()
    return bytes(raw)


def retry_after(told: str) -> float | None:
    """Seconds of a `Retry-After`, which is a number of them or an instant."""
    if told.strip().isdecimal():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return None
    return max(0.0, at.timestamp() - time.time())


@dataclass(frozen=True, slots=True)
class Answer:
    """`facts` is empty where the body is no JSON object; `nonce` is the header `DPoP-Nonce`."""

    status: int
    facts: Mapping[str, Any]
    nonce: str = ""


class Answers:
    """Safe to share between threads; `timeout` in seconds for the connection, each wait and the
    whole answer after it began.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
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
            told = json.loads(whole(answer, seconds=self._timeout, most=LONGEST) or b"{}")
        except _TROUBLE as trouble:
            raise PlatformUnavailable(f"the platform's sign-in gives no answer: {trouble}") from (
                trouble
            )
        nonce = answer.headers.get("DPoP-Nonce", "")
        return Answer(answer.status, told if isinstance(told, dict) else {}, nonce)
