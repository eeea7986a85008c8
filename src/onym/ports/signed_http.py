"""A platform that speaks the signed-HTTP contract of docs/guides/platform.md."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.ports.account import HandedOver
from onym.ports.answers import retry_after, whole
from onym.ports.platform import (
    COLUMNS,
    INSTANTS,
    AccountRow,
    Answer,
    Capabilities,
    Holding,
    Notice,
    Outcome,
    Page,
)
from onym.ports.signatures import Signer

# Statuses by which a platform says, with a code of its own, that it did not do it and never will.
# Each other one that is not a success (a rejected signature, a full queue, a crash) leaves the
# outcome open, and so does one without a code: a gateway has said it in the platform's stead.
_REFUSALS: Final = frozenset({400, 404, 409, 410, 412, 422})
_STALE: Final = 412
_PRESSED: Final = (429, 503)
_PARALLEL: Final = 8
_TROUBLE: Final = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)


class SignedHttp:
    """The signed-HTTP contract over kept-alive connections; safe to share between threads.

    `base` is the platform's address without a trailing slash, `timeout` in seconds holds for the
    connection, for each wait for data, and for the whole answer after it began. At most eight
    requests are under way at a time; others wait for their turn as long.
    """

    def __init__(
        self, *, base: str, key_id: str, private_key: Ed25519PrivateKey, timeout: float = 10.0
    ) -> None:
        self._base = base.rstrip("/")
        self._prefix = urlsplit(self._base).path
        self._signer = Signer(key_id=key_id, private_key=private_key)
        self._timeout = timeout
        self._pool = urllib3.connection_from_url(
            self._base,
            maxsize=_PARALLEL,
            block=True,
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
        )

    def capabilities(self) -> Capabilities:
        """What the platform says it can do; what it does not say it cannot."""
        found = self._read("/capabilities")
        if found is None:
            raise PlatformUnavailable("the platform does not say what it can do")
        custodian = found.get("custodian")
        return Capabilities(
            profile=str(found.get("profile", "")),
            custodian=str(custodian) if custodian is not None else None,
            atomic_move=found.get("atomic_move") is True,
            reserve=found.get("reserve") is True,
            retain=found.get("retain") is True,
            hand_over=found.get("hand_over") is True,
            notices=found.get("notices") is True,
            notice_batch=_whole(found.get("notice_batch")),
            signals=tuple(str(name) for name in found.get("signals", ())),
            since=found.get("since") is True,
        )

    def accounts(self, *, cursor: str | None = None) -> tuple[Sequence[AccountRow], str | None]:
        """One page of the activity list and the cursor of the next, None after the last."""
        found = self.page(cursor=cursor)
        return found.rows, found.next

    def page(self, *, cursor: str | None = None, since: datetime | None = None) -> Page:
        """The same with the instant of the reading; with `since` only what changed since then."""
        asked = {"since": since.isoformat() if since else None, "cursor": cursor}
        query = "&".join(f"{name}={quote(text, safe='')}" for name, text in asked.items() if text)
        found = self._read("/accounts" + (f"?{query}" if query else ""))
        if found is None or not isinstance(found.get("items"), list):
            raise PlatformUnavailable("the platform's list of accounts cannot be read")
        following, as_of = found.get("next"), found.get("as_of")
        if not isinstance(following, str | None):
            raise PlatformUnavailable("the platform's list has no readable cursor")
        try:
            read_at = None if as_of is None else _instant(as_of)
        except (TypeError, ValueError) as trouble:
            raise PlatformUnavailable(f"as_of: {trouble}") from trouble
        return Page([_row(item) for item in found["items"]], following, read_at)

    def account(self, *, account_id: str) -> AccountRow | None:
        """The account now, or None if the platform knows none by that id."""
        found = self._read(f"/accounts/{quote(account_id, safe='')}")
        return None if found is None else _row(found)

    def holder(self, *, handle: str) -> Holding:
        """The read-back. Refused: HandleMalformed, where the platform cannot have such a handle."""
        found = self._read(f"/handles/{quote(handle, safe='')}") or {}
        account_id = found.get("account_id", 0)  # nobody is null, and never left out
        if not isinstance(account_id, str | None):
            raise PlatformUnavailable("the platform does not say who holds the handle")
        return Holding(handle=handle, account_id=account_id)

    def move(
        self,
        *,
        handle: str,
        source: str | None,
        to: str | None,
        placeholder: str | None,
        expected_holder: str | None,
        fence: int,
        key: str,
        retain: bool = False,
    ) -> Outcome:
        """Hand the handle to `to`; `source` is renamed to `placeholder`, or the next free one.

        Refused as `stale` when somebody else than `expected_holder` holds it or a fence as high
        was already used. `retain` keeps the old handle of `to` with the custodian. A move to the
        present holder (None where nobody is) changes nothing but the fence: it bars every
        earlier write.
        """
        wish = {
            "from": source,
            "to": to,
            "placeholder": placeholder,
            "expected_holder": expected_holder,
            "fence": fence,
            "retain": retain,
        }
        return self._write(f"/handles/{quote(handle, safe='')}/move", wish, key)

    def reserve(self, *, handle: str, key: str) -> Outcome:
        """Give a handle that nobody holds to the custodian; refused while an account holds it."""
        return self._write(f"/handles/{quote(handle, safe='')}/reserve", {}, key)

    def unreserve(self, *, handle: str, key: str) -> Outcome:
        """Let the custodian give a handle up, so that nobody holds it."""
        return self._write(f"/handles/{quote(handle, safe='')}/unreserve", {}, key)

    def hand_over(
        self,
        *,
        account_id: str,
        email: str | None,
        fence: int,
        key: str,
        wipe: Sequence[str] = (),
        handle: str | None = None,
        last: int | None = None,
    ) -> Outcome:
        """Hand the whole account to whoever reads `email`: its credentials are void at once.

        `wipe` names what goes, too: messages, contacts. `stale` unless the account holds `handle`
        and its last hand-over had the fence `last`, where named. Without `email`, a bar.
        """
        wish = {"email": email, "fence": fence, "wipe": list(wipe), "handle": handle, "last": last}
        return self._write(f"/accounts/{quote(account_id, safe='')}/hand-over", wish, key)

    def handed_over(self, *, account_id: str) -> HandedOver:
        """The read-back of `hand_over`: which one is in force, and whose address."""
        found = self._read(f"/accounts/{quote(account_id, safe='')}/hand-over") or {}
        fence, address = found.get("fence"), found.get("address")
        if type(fence) is not int or not isinstance(address, str | None):
            raise PlatformUnavailable("the platform does not say to whom the account was handed")
        return HandedOver(fence, address)

    def notify(
        self, *, account_id: str, kind: str, text: str, href: str | None, key: str
    ) -> Outcome:
        """Show the account a message on the platform."""
        wish = {"kind": kind, "text": text, "href": href}
        return self._write(f"/accounts/{quote(account_id, safe='')}/notices", wish, key)

    def notify_all(self, *, notices: Sequence[Notice]) -> Sequence[Outcome]:
        """`notify` for many, in batches where the platform takes them; outcomes in order."""
        try:
            size = self.capabilities().notice_batch
        except PlatformUnavailable as trouble:
            return [Outcome(Answer.UNKNOWN, "no_answer", trouble.detail)] * len(notices)
        if size == 0:
            with ThreadPoolExecutor(max_workers=_PARALLEL) as threads:
                return list(threads.map(lambda notice: self.notify(**asdict(notice)), notices))
        batches = (notices[start : start + size] for start in range(0, len(notices), size))
        return list(chain.from_iterable(map(self._notify_batch, batches)))

    def _notify_batch(self, notices: Sequence[Notice]) -> Sequence[Outcome]:
        """Each notice is one for ever by its own key; the batch's key only names the request."""
        wish = {"items": [asdict(notice) for notice in notices]}
        key = sha256("\n".join(notice.key for notice in notices).encode()).hexdigest()
        whole = self._write("/notices", wish, key)
        if not whole.done:
            return [whole] * len(notices)
        told = whole.facts.get("items")
        if not isinstance(told, list) or len(told) != len(notices):
            return [Outcome(Answer.UNKNOWN, "no_answer", "not one answer a notice")] * len(notices)
        return [_outcome(_whole(_of(item, "status")), _of(item, "answer")) for item in told]

    def _read(self, path: str) -> dict[str, Any] | None:
        """The answer's object, None for a 404 with a code; all else is no answer."""
        try:
            status, raw, wait = self._ask("GET", path, None, {})
            found = json.loads(raw) if status not in _PRESSED else {}
        except _TROUBLE as trouble:
            raise PlatformUnavailable(f"the platform does not answer: {trouble}") from trouble
        except ValueError as trouble:
            raise PlatformUnavailable("the platform's answer is not JSON") from trouble
        if status == 404 and _code(found):
            return None
        if status == 422 and _code(found):
            raise HandleMalformed("the platform cannot have such a handle")
        if status != 200 or not isinstance(found, dict):
            facts = {} if wait is None else {"retry_after": wait}
            raise PlatformUnavailable(f"the platform answers with status {status}", **facts)
        return found

    def _write(self, path: str, wish: Mapping[str, Any], key: str) -> Outcome:
        """Ask once. A connection that fails, even before the write, leaves the outcome open."""
        body = json.dumps(wish, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            status, raw, wait = self._ask("POST", path, body, headers)
            facts = json.loads(raw) if status not in _PRESSED else {}
        except (*_TROUBLE, ValueError) as trouble:
            return Outcome(Answer.UNKNOWN, code="no_answer", detail=str(trouble))
        return replace(_outcome(status, facts), retry_after=wait)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, float | None]:
        """(status, body, seconds to wait before asking anything else)."""
        signed = self._signer.signed(
            method=method, url=self._base + path, headers=headers, body=body
        )
        response = self._pool.urlopen(
            method,
            self._prefix + path,
            body=body,
            headers=signed,
            retries=False,
            redirect=False,
            preload_content=False,
            pool_timeout=self._timeout,  # type: ignore[arg-type]  # it takes any number
        )
        raw = whole(response, seconds=self._timeout)
        wait = response.headers.get("Retry-After", "") if response.status in _PRESSED else ""
        return response.status, raw, retry_after(wait)


def _outcome(status: int, facts: object) -> Outcome:
    told = facts if isinstance(facts, dict) else {}
    if status in (200, 201) and told:
        return Outcome(Answer.DONE, facts=told)
    code, detail = _code(told), str(told.get("detail", ""))
    if status == _STALE and code:
        return Outcome(Answer.REFUSED, code="stale", detail=detail, facts=told)
    if status in _REFUSALS and code not in ("", "in_progress"):
        return Outcome(Answer.REFUSED, code=code, detail=detail, facts=told)
    return Outcome(Answer.UNKNOWN, code=code or f"http_{status}", detail=detail, facts=told)


def _code(problem: object) -> str:
    """The problem document's own code; empty where there is none."""
    code = _of(problem, "code")
    return code if isinstance(code, str) else ""


def _of(item: object, name: str) -> object:
    return item.get(name) if isinstance(item, dict) else None


def _whole(number: object) -> int:
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def _row(item: object) -> AccountRow:
    """The known columns of one wire row, instants parsed; a row without its key is no answer."""
    if not isinstance(item, dict) or not isinstance(item.get("account_id"), str):
        raise PlatformUnavailable("the platform answers something that is no account")
    row = {name: item[name] for name in COLUMNS if item.get(name) is not None}
    try:
        for name in INSTANTS:
            if name in row:
                row[name] = _instant(row[name])
    except (TypeError, ValueError) as trouble:
        raise PlatformUnavailable(f"account {item['account_id']}: {name}: {trouble}") from trouble
    return cast(AccountRow, row)


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at
