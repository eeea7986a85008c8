"""The platform that owns the namespace, as flows and jobs see it: who holds what, and moves.

Its adapters lie beside: `signed_http`, `atproto`, `scim`, `sql`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol, TypedDict

from onym.ports.account import HandedOver


class AccountRow(TypedDict, total=False):
    """One account as the platform tells it; a missing or null column is unknown.

    Instants are aware UTC datetimes. `account_id` and `handle` are always there.
    """

    account_id: str
    handle: str
    created_at: datetime | None
    last_login_at: datetime | None
    last_post_at: datetime | None
    last_api_at: datetime | None
    last_payment_at: datetime | None
    followers: int | None
    following: int | None
    posts: int | None
    status: str | None
    suspension_final_at: datetime | None
    appeal_open: bool | None
    memorial: bool | None
    verified: bool | None
    public_body: bool | None
    legal_hold: bool | None
    minor: bool | None
    dispute_open: bool | None
    subscriber: bool | None
    bot_score: float | None
    inbound_refs: int | None
    registered_batch: str | None
    bio: str | None
    last_post_text: str | None
    site_url: str | None
    site_alive: bool | None
    email: str | None
    locale: str | None


COLUMNS: Final = tuple(AccountRow.__annotations__)
INSTANTS: Final = tuple(name for name in COLUMNS if name.endswith("_at"))


class Answer(StrEnum):
    """What is known of a write after asking for it."""

    DONE = "done"  # the platform says it did it
    REFUSED = "refused"  # the platform says it did not and will not
    UNKNOWN = "unknown"  # no answer, or none that decides: ask again with the same key


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` and `detail` say why, `facts` is what the platform answered beside them, `retry_after`
    for how many seconds it asked to be left alone.
    """

    answer: Answer
    code: str = ""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    retry_after: float | None = None

    @property
    def done(self) -> bool:
        return self.answer is Answer.DONE

    @property
    def refused(self) -> bool:
        return self.answer is Answer.REFUSED

    @property
    def unknown(self) -> bool:
        return self.answer is Answer.UNKNOWN


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a handle now; `account_id` is None when nobody does."""

    handle: str
    account_id: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to an account, shown on the platform; `key` makes it one message for ever."""

    account_id: str
    kind: str
    text: str
    href: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the platform can do. `custodian` is the account that holds detached handles."""

    profile: str
    custodian: str | None
    atomic_move: bool
    reserve: bool
    retain: bool
    hand_over: bool
    notices: bool
    notice_batch: int
    signals: tuple[str, ...]
    since: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of the list, the cursor of the next page (None after the last), and the platform's
    instant of the reading, if it tells it."""

    rows: Sequence[AccountRow]
    next: str | None
    as_of: datetime | None


class TellsChanges(Protocol):
    """A platform that offers `since`: its list of all, or of what changed since an instant."""

    def page(self, *, cursor: str | None = None, since: datetime | None = None) -> Page: ...


class Platform(Protocol):
    """Reads raise PlatformUnavailable; writes answer an Outcome and never raise for the outside."""

    def capabilities(self) -> Capabilities: ...

    def accounts(self, *, cursor: str | None = None) -> tuple[Sequence[AccountRow], str | None]: ...

    def account(self, *, account_id: str) -> AccountRow | None: ...

    def holder(self, *, handle: str) -> Holding: ...

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
    ) -> Outcome: ...

    def reserve(self, *, handle: str, key: str) -> Outcome: ...

    def unreserve(self, *, handle: str, key: str) -> Outcome: ...

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
    ) -> Outcome: ...

    def handed_over(self, *, account_id: str) -> HandedOver: ...

    def notify(
        self, *, account_id: str, kind: str, text: str, href: str | None, key: str
    ) -> Outcome: ...

    def notify_all(self, *, notices: Sequence[Notice]) -> Sequence[Outcome]: ...
