"""A platform that speaks SCIM 2.0 (RFC 7643, RFC 7644): a handle is a userName.

SCIM has no swap, no fence, no notices and no last activity; docs/guides/platform-scim.md tells what
follows from that. Fences and answers are kept by `Book` in the market's database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import quote

from onym.core import names
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.ports.account import HandedOver
from onym.ports.journal import Book, Journal, Write
from onym.ports.platform import (
    AccountRow,
    Answer,
    Capabilities,
    Holding,
    Notice,
    Outcome,
    Page,
)
from onym.ports.scim_moves import Moves
from onym.ports.scim_wire import Client, Person

SIGNALS: Final = ("created_at", "status", "email", "locale")
_PAGE: Final = 200


class Scim:
    """`Platform` over a SCIM service provider. `base` is the address that `/Users` is under,
    `token` its bearer token, `profile` what a handle is there. `quiet` is how many seconds a
    request that was not answered may still be under way; as long as `timeout` unless said so.
    """

    def __init__(
        self,
        *,
        base: str,
        token: str,
        journal: Journal,
        profile: str = "x",
        timeout: float = 10.0,
        quiet: float | None = None,
    ) -> None:
        self._client = Client(base=base, token=token, timeout=timeout)
        self._profile = profile
        moves = Moves(
            client=self._client, profile=profile, quiet=timeout if quiet is None else quiet
        )
        self._moves = moves
        self._book = Book(journal, self._run)

    def capabilities(self) -> Capabilities:
        """What follows from SCIM itself, and whether lists can be filtered by their last change."""
        told = self._client.read("/ServiceProviderConfig").facts
        filters = told.get("filter")
        return Capabilities(
            profile=self._profile,
            custodian=None,
            atomic_move=False,
            reserve=False,
            retain=False,
            hand_over=False,
            notices=False,
            notice_batch=0,
            signals=SIGNALS,
            since=isinstance(filters, dict) and filters.get("supported") is True,
        )

    def accounts(self, *, cursor: str | None = None) -> tuple[Sequence[AccountRow], str | None]:
        """One page of the accounts, and where the next begins."""
        found = self.page(cursor=cursor)
        return found.rows, found.next

    def page(self, *, cursor: str | None = None, since: datetime | None = None) -> Page:
        """The same with the provider's instant; with `since` only what was modified since then."""
        start = int(cursor) if cursor and cursor.isdecimal() else 1
        query = f"?startIndex={start}&count={_PAGE}"
        if since is not None:
            query += "&filter=" + quote(f'meta.lastModified ge "{since.isoformat()}"', safe="")
        said = self._client.read("/Users" + query)
        people = self._client.people(said)
        total = said.facts.get("totalResults")
        following = start + len(people)
        more = bool(people) and isinstance(total, int) and following <= total
        return Page([_row(one) for one in people], str(following) if more else None, _at(said.date))

    def account(self, *, account_id: str) -> AccountRow | None:
        """The account now, or None; `active: false` is suspended."""
        found = self._client.person(account_id)
        return None if found is None else _row(found)

    def holder(self, *, handle: str) -> Holding:
        """The read-back. Refused: HandleMalformed."""
        label = names.canon(handle, self._profile)
        found = self._client.named(label)
        return Holding(handle, None if found is None else found.id)

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
        """Rename the holder, then assign; undone where somebody came between. See `Moves`."""
        if fence < 1 or (to is None and expected_holder is not None):
            return Outcome(Answer.REFUSED, "malformed")
        try:
            label = names.canon(handle, self._profile)
            spare = None if placeholder is None else names.canon(placeholder, self._profile)
        except HandleMalformed as refusal:
            return Outcome(Answer.REFUSED, refusal.code, refusal.detail)
        wish = {
            "handle": label,
            "from": source,
            "to": to,
            "placeholder": spare,
            "expected_holder": expected_holder,
            "fence": fence,
            "retain": retain,
        }
        people = {f"account:{one}" for one in (source, to) if one}
        return self._book.once(
            key=key, subject=f"handle:{label}", wish=wish, names=people, fence=fence
        )

    def reserve(self, *, handle: str, key: str) -> Outcome:
        """Refused: a userName is an account's or nobody's."""
        return _not_supported(handle, key)

    def unreserve(self, *, handle: str, key: str) -> Outcome:
        """Refused, as `reserve`."""
        return _not_supported(handle, key)

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
        """Refused: SCIM cannot end sessions, so the former holder would stay signed in."""
        return _not_supported(account_id, email, fence, key, wipe, handle, last)

    def handed_over(self, *, account_id: str) -> HandedOver:
        """No account ever was."""
        del account_id
        return HandedOver(0, None)

    def notify(
        self, *, account_id: str, kind: str, text: str, href: str | None, key: str
    ) -> Outcome:
        """Refused: SCIM has no messages; holders are told by mail."""
        return _not_supported(account_id, kind, text, href, key)

    def notify_all(self, *, notices: Sequence[Notice]) -> Sequence[Outcome]:
        """Refused, each of them."""
        return [_not_supported(one) for one in notices]

    def _run(self, write: Write) -> Outcome:
        """Take a write up where it stands; a provider that is away leaves it open."""
        try:
            return self._moves.move(write)
        except PlatformUnavailable as trouble:
            wait = trouble.facts.get("retry_after")
            return Outcome(Answer.UNKNOWN, "no_answer", trouble.detail, retry_after=wait)


def _not_supported(*_: object) -> Outcome:
    return Outcome(Answer.REFUSED, "not_supported", "SCIM has no word for it")


def _row(person: Person) -> AccountRow:
    """What SCIM knows of an account. `lastModified` is no sign of life: anybody may modify."""
    known: Mapping[str, Any] = {
        "account_id": person.id,
        "handle": person.name,
        "created_at": _at(person.created),
        "status": "active" if person.active else "suspended",
        "email": person.mail,
        "locale": person.locale,
    }
    return cast(AccountRow, {name: value for name, value in known.items() if value is not None})


def _at(text: str | None) -> datetime | None:
    """An instant of SCIM's, or of a Date header; one without a zone is none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except ValueError:
            return None
    return found if found.tzinfo is not None else None
