"""SCIM over HTTP: reads that must be answered, and renames whose outcome may stay open."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import urllib3

from onym.core.errors import PlatformUnavailable
from onym.ports.answers import retry_after, whole

_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
_PARALLEL: Final = 8
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_TYPE: Final = "application/scim+json"
TAKEN, CHANGED, GONE = "taken", "changed", "gone"
"""Why a rename was refused: another account has the name; the account changed since it was read;
there is no such account."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: its object, the provider's Date, and for how many seconds it asks for quiet."""

    status: int
    facts: Mapping[str, Any]
    date: str
    retry_after: float | None

    @property
    def none_such(self) -> bool:
        """The provider's own word that there is no such resource, and not a gateway's."""
        schemas = self.facts.get("schemas")
        return self.status == 404 and isinstance(schemas, list) and _ERROR in schemas


@dataclass(frozen=True, slots=True)
class Person:
    """A User resource as far as it concerns handles; `version` is its ETag, where there is one."""

    id: str
    name: str
    active: bool
    created: str | None
    mail: str | None
    locale: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """Whether it is known what became of a rename, and why it was refused (empty: it was done)."""

    sure: bool
    why: str = ""
    detail: str = ""

    @property
    def done(self) -> bool:
        return self.sure and not self.why


class Client:
    """`timeout` in seconds holds for the connection, each wait and the whole answer after it
    began; threads may share it.
    """

    def __init__(self, *, base: str, token: str, timeout: float) -> None:
        self._prefix = urlsplit(base).path.rstrip("/")
        self._headers = {"Accept": _TYPE, "Content-Type": _TYPE}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._pool = urllib3.connection_from_url(
            base,
            maxsize=_PARALLEL,
            block=True,
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
        )

    def read(self, path: str) -> Said:
        """Refuses `platform_unavailable` whatever is not 200."""
        said = self._get(path)
        if said.status != 200:
            raise PlatformUnavailable(f"the provider answers {path} with {said.status}")
        return said

    def person(self, account_id: str) -> Person | None:
        """The account, or None. Refuses `platform_unavailable`."""
        path = f"/Users/{quote(account_id, safe='')}"
        said = self._get(path)
        return None if said.none_such else _person(self._need(said, path).facts)

    def named(self, name: str) -> Person | None:
        """The account whose userName this is, or None; two of them are no answer."""
        escaped = json.dumps(name, ensure_ascii=False)
        said = self.read("/Users?filter=" + quote(f"userName eq {escaped}", safe=""))
        found = self.people(said)
        if len(found) > 1:
            raise PlatformUnavailable(f"the provider has {len(found)} accounts named {name}")
        return found[0] if found else None

    def people(self, said: Said) -> Sequence[Person]:
        """The accounts of a list."""
        listed = said.facts.get("Resources", [])
        if not isinstance(listed, list):
            raise PlatformUnavailable("the provider's list of accounts cannot be read")
        return [_person(one) for one in listed]

    def rename(self, person: Person, name: str) -> Renamed:
        """Give it another userName if it is as it was read (If-Match), once. Never raises."""
        operation = {"op": "replace", "path": "userName", "value": name}
        wish = {"schemas": [_PATCH], "Operations": [operation]}
        match = {"If-Match": person.version} if person.version else {}
        try:
            said = self._ask("PATCH", f"/Users/{quote(person.id, safe='')}", wish, match)
        except _TROUBLE as trouble:
            return Renamed(sure=False, detail=str(trouble)[:200])
        detail = str(said.facts.get("detail", ""))[:200]
        if said.status in (200, 204):
            return Renamed(sure=True)
        refusals = {409: TAKEN, 412: CHANGED}
        if said.status in refusals or said.none_such:
            return Renamed(True, refusals.get(said.status, GONE), detail)
        return Renamed(sure=False, detail=f"{said.status} {detail}")

    def _get(self, path: str) -> Said:
        try:
            said = self._ask("GET", path, None, {})
        except _TROUBLE as trouble:
            raise PlatformUnavailable(f"the provider does not answer: {trouble}") from trouble
        if said.status in (429, 503) or said.status >= 500:
            wait = {} if said.retry_after is None else {"retry_after": said.retry_after}
            raise PlatformUnavailable(f"the provider answers with {said.status}", **wait)
        return said

    def _need(self, said: Said, path: str) -> Said:
        if said.status != 200:
            raise PlatformUnavailable(f"the provider answers {path} with {said.status}")
        return said

    def _ask(
        self, method: str, path: str, wish: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Said:
        response = self._pool.urlopen(
            method,
            self._prefix + path,
            body=None if wish is None else json.dumps(wish, ensure_ascii=False).encode(),
            headers={**self._headers, **headers},
            retries=False,
            redirect=False,
            preload_content=False,
            pool_timeout=self._timeout,  # type: ignore[arg-type]  # it takes any number
        )
        raw = whole(response, seconds=self._timeout)
        facts = json.loads(raw) if raw and response.status < 500 else {}
        known = facts if isinstance(facts, dict) else {}
        told = response.headers
        wait = retry_after(told.get("Retry-After", ""))
        return Said(response.status, known, told.get("Date", ""), wait)


def _person(found: Any) -> Person:
    """Refuses `platform_unavailable` what has no id or no userName."""
    told = found if isinstance(found, dict) else {}
    meta = told.get("meta") if isinstance(told.get("meta"), dict) else {}
    id_, name = told.get("id"), told.get("userName")
    if not isinstance(id_, str) or not isinstance(name, str):
        raise PlatformUnavailable("the provider answers something that is no account")
    return Person(
        id=id_,
        name=name,
        active=told.get("active") is not False,
        created=_text(meta, "created"),
        mail=_mail(told.get("emails")),
        locale=_text(told, "locale"),
        version=_text(meta, "version"),
    )


def _text(told: Any, name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None


def _mail(listed: Any) -> str | None:
    """The primary address, else the first."""
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    found.sort(key=lambda one: one.get("primary") is not True)
    return _text(found[0], "value") if found else None
