"""Questions and orders to a Bluesky PDS: XRPC over kept-alive connections, as its administrator.

Lexicons: https://docs.bsky.app/docs/category/http-reference. See docs/guides/atproto.md.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3

from onym.core.errors import PlatformUnavailable
from onym.ports.answers import whole

_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
_PARALLEL: Final = 8
_DIGITS: Final = "234567abcdefghijklmnopqrstuvwxyz"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """What the PDS answered: `error` is its own name for a refusal, empty where it did as asked.

    `sure` is whether it is known what it did: it did it, or it refused.
    """

    sure: bool
    error: str = ""
    message: str = ""
    facts: Mapping[str, Any] | None = None

    @property
    def done(self) -> bool:
        return self.sure and not self.error


class Xrpc:
    """`base` without a trailing slash; `timeout` in seconds for the connection, each wait and the
    whole answer after it began.
    """

    def __init__(self, *, base: str, password: str, timeout: float = 10.0) -> None:
        self._path = urlsplit(base).path.rstrip("/") + "/xrpc/"
        self._admin = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        self._timeout = timeout
        self._pool = urllib3.connection_from_url(
            base, maxsize=_PARALLEL, timeout=urllib3.Timeout(connect=timeout, read=timeout)
        )

    def ask(self, method: str, **wanted: str | int | Sequence[str]) -> Said:
        """A query; a refusal is an answer. No answer: PlatformUnavailable."""
        text = urlencode(wanted, doseq=True)
        said = self._said("GET", f"{method}?{text}" if text else method, None, self._admin)
        if not said.sure:
            raise PlatformUnavailable(f"the PDS does not answer {method}: {said.message}")
        return said

    def read(self, method: str, **wanted: str | int | Sequence[str]) -> Mapping[str, Any]:
        """The facts of a query that the PDS must be able to answer."""
        said = self.ask(method, **wanted)
        if said.error or said.facts is None:
            raise PlatformUnavailable(f"the PDS refuses {method}: {said.error} {said.message}")
        return said.facts

    def as_holder(self, method: str, token: str) -> Said:
        """A query with an account's own token. Never raises."""
        return self._said("GET", method, None, f"Bearer {token}")

    def order(
        self, method: str, wish: Mapping[str, Any] | None, *, token: str | None = None
    ) -> Said:
        """A procedure, asked for once: as the administrator, with an account's token, or with
        none where it is empty. Never raises; `sure` is false where nobody can know.
        """
        authority = self._admin if token is None else f"Bearer {token}" if token else ""
        body = b"" if wish is None else json.dumps(wish).encode()
        return self._said("POST", method, body, authority)

    def _said(self, verb: str, what: str, body: bytes | None, authority: str) -> Said:
        headers = {"Accept": "application/json"}
        if authority:
            headers["Authorization"] = authority
        if body:
            headers["Content-Type"] = "application/json"
        try:
            answer = self._pool.urlopen(
                verb,
                self._path + what,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            raw = whole(answer, seconds=self._timeout)
            facts = json.loads(raw) if raw else {}
        except _TROUBLE as trouble:
            return Said(sure=False, error="NoAnswer", message=str(trouble))
        if not isinstance(facts, dict):
            return Said(sure=False, error="NoAnswer", message="an answer that is no object")
        return _judged(answer.status, facts)


def _judged(status: int, facts: Mapping[str, Any]) -> Said:
    """200 did it, 400 refuses; a crash, haste or a wrong password decides nothing."""
    if status == 200:
        return Said(sure=True, facts=facts)
    error, message = str(facts.get("error", status)), str(facts.get("message", ""))
    return Said(sure=status == 400, error=error or "Refused", message=message)


def written_at(revision: str) -> datetime | None:
    """The instant in a repository's revision: 53 bits of microseconds in the first 11 of its 13
    digits (https://atproto.com/specs/tid). None for what is no revision.
    """
    if len(revision) != 13 or any(digit not in _DIGITS for digit in revision):
        return None
    number = 0
    for digit in revision:
        number = number * 32 + _DIGITS.index(digit)
    return _EPOCH + timedelta(microseconds=(number >> 10) & (2**53 - 1))


def seconds() -> float:
    """The machine's clock, for how long ago something was asked."""
    return time.time()
