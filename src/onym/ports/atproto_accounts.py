"""The accounts of a Bluesky PDS as the market reads them: by permanent id, by handle, page by page.

A handle of the market is the label under the host's domain. See docs/guides/atproto.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from onym.core import names
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.ports.platform import AccountRow
from onym.ports.xrpc import Xrpc, written_at

PROFILE: Final = "atproto"
PAGE: Final = 500
_BATCH: Final = 50  # ids in one query: its address stays short enough for every proxy
_DID: Final = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]")
_SUSPENDED: Final = frozenset({"takendown", "takedown", "suspended"})


@dataclass(frozen=True, slots=True)
class Info:
    """One account as the administrator sees it, suspended or not; `handle` is the full name."""

    did: str
    handle: str
    email: str
    created_at: datetime | None
    invited_for: str


class Accounts:
    """Reads raise PlatformUnavailable where the PDS does not answer.

    `custodian` is the id or the handle of the account that stands for nobody; those that were
    invited in its name hold its handles, one each, for an account of a PDS has exactly one.
    `gives_addresses` is whether rows tell the holders' mail addresses.
    """

    def __init__(
        self, *, xrpc: Xrpc, custodian: str | None = None, gives_addresses: bool = False
    ) -> None:
        self._xrpc = xrpc
        self._gives_addresses = gives_addresses
        self._custodian = custodian
        self._domain = ""

    @property
    def custodian(self) -> str | None:
        """The custodian's permanent id, looked up once where it was named by its handle."""
        named = self._custodian
        if named is not None and not named.startswith("did:"):
            found = self.find(named)
            if found is None:
                raise PlatformUnavailable(f"the custodian @{named} has no account on the PDS")
            self._custodian = found.did
        return self._custodian

    @property
    def domain(self) -> str:
        """What follows a label, with its dot: the first domain that the host gives handles of."""
        if not self._domain:
            told = self._xrpc.read("com.atproto.server.describeServer")
            self._domain = str((told.get("availableUserDomains") or [""])[0])
            if not self._domain.startswith("."):
                raise PlatformUnavailable("the PDS gives no handles of its own")
        return self._domain

    def full(self, label: str) -> str:
        """`moon` → `moon.host.example`. Refused: HandleMalformed."""
        return names.canon(label, PROFILE) + self.domain

    def label(self, full: str) -> str:
        """`moon.host.example` → `moon`; empty for a name of another domain."""
        label = full.removesuffix(self.domain)
        return label if label != full and "." not in label else ""

    def info(self, did: str | None) -> Info | None:
        """The account now, or None if there is none by that id."""
        if not did or not is_did(did):
            return None  # the PDS would not refuse it but fail
        said = self._xrpc.ask("com.atproto.admin.getAccountInfo", did=did)
        return None if said.error or said.facts is None else _info(said.facts)

    def bio(self, did: str) -> str | None:
        """What the account's profile says of it; None where it says nothing or shows nothing."""
        asked = {"repo": did, "collection": "app.bsky.actor.profile", "rkey": "self"}
        said = self._xrpc.ask("com.atproto.repo.getRecord", **asked)
        record = (said.facts or {}).get("value") or {}
        return str(record.get("description") or "") or None

    def infos(self, dids: Sequence[str]) -> list[Info]:
        """Those of the accounts that exist, in any order."""
        found: list[Info] = []
        for start in range(0, len(dids), _BATCH):
            part = list(dids[start : start + _BATCH])
            told = self._xrpc.read("com.atproto.admin.getAccountInfos", dids=part)
            found += [_info(one) for one in told.get("infos", ())]
        return found

    def find(self, label: str, *, likely: Iterable[str | None] = ()) -> Info | None:
        """Who holds the handle, suspended or not; None is nobody.

        A suspended account's handle does not resolve, so each way is tried: whoever is `likely`
        to hold it, whom it resolves to, and where the PDS says that it is held by an account that
        it does not show, all that are not active.
        """
        full = self.full(label)
        for did in dict.fromkeys(likely):
            info = self.info(did)
            if info is not None and info.handle == full:
                return info
        said = self._xrpc.ask("com.atproto.identity.resolveHandle", handle=full)
        if said.done:
            return self._holding(str((said.facts or {}).get("did")), full)
        told = self._xrpc.ask("com.atproto.repo.describeRepo", repo=full)
        if told.error == "RepoNotFound":
            return None
        if told.error in ("RepoTakendown", "RepoDeactivated"):
            return self._among_inactive(full)
        raise PlatformUnavailable(f"the PDS does not say who holds {full}: {told.message}")

    def is_anothers(self, email: str, *, than: str) -> bool:
        """Whether another account has this mail address, which the PDS gives to one alone.

        It can be told only by looking at all of them: for an order that failed, not for each.
        """
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            told = self._xrpc.read("com.atproto.sync.listRepos", limit=PAGE, **more)
            dids = [str(one["did"]) for one in told["repos"] if one["did"] != than]
            wanted = email.strip().lower()
            if any(info.email.strip().lower() == wanted for info in self.infos(dids)):
                return True
            cursor = told.get("cursor")
            if not cursor or not told["repos"]:
                return False

    def owner(self, info: Info | None) -> str | None:
        """The account as the market knows it: all of the custodian's are the custodian."""
        if info is None:
            return None
        return self.custodian if self.is_custodial(info) else info.did

    def is_custodial(self, info: Info) -> bool:
        """Whether the account holds a handle for the custodian."""
        return self.custodian is not None and self.custodian in (info.did, info.invited_for)

    def row(self, did: str) -> AccountRow | None:
        """The account table's columns now. A suspended account's last write is not told here."""
        info = self.info(did)
        if info is None:
            return None
        said = self._xrpc.ask("com.atproto.sync.getRepoStatus", did=did)
        return None if not said.done else self._row(info, said.facts or {})

    def is_active(self, did: str) -> bool:
        """Whether the account may be given anything."""
        said = self._xrpc.ask("com.atproto.sync.getRepoStatus", did=did)
        return said.done and _status(said.facts or {}) == "active"

    def page(self, cursor: str | None) -> tuple[list[AccountRow], str | None]:
        """Accounts in the order of their making, with their last write; without the custodian's
        and those that go by a name of another domain.
        """
        more = {"cursor": cursor} if cursor else {}
        told = self._xrpc.read("com.atproto.sync.listRepos", limit=PAGE, **more)
        repos = {str(one["did"]): one for one in told.get("repos", ())}
        infos = [one for one in self.infos(list(repos)) if not self.is_custodial(one)]
        rows = [self._row(one, repos[one.did]) for one in infos if self.label(one.handle)]
        following = told.get("cursor") if len(repos) == PAGE else None
        return rows, str(following) if following else None

    def _row(self, info: Info, repo: Mapping[str, Any]) -> AccountRow:
        row = AccountRow(account_id=info.did, handle=self.label(info.handle))
        row["status"] = _status(repo)
        row["created_at"] = info.created_at
        row["last_post_at"] = written_at(str(repo.get("rev", "")))
        if self._gives_addresses and info.email:
            row["email"] = info.email
        return row

    def _holding(self, did: str, full: str) -> Info:
        info = self.info(did)
        if info is None or info.handle != full:
            raise PlatformUnavailable(f"{full} is changing hands")
        return info

    def _among_inactive(self, full: str) -> Info:
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            told = self._xrpc.read("com.atproto.sync.listRepos", limit=PAGE, **more)
            hidden = [str(one["did"]) for one in told["repos"] if not one.get("active")]
            for info in self.infos(hidden):
                if info.handle == full:
                    return info
            cursor = told.get("cursor")
            if not cursor or not told["repos"]:
                raise PlatformUnavailable(f"{full} is changing hands")


def is_did(text: str) -> bool:
    """Whether the text is a permanent id of the AT Protocol."""
    return _DID.fullmatch(text) is not None


def checked(label: str) -> str:
    """The canonical label. Refused: HandleMalformed."""
    if not names.is_handle(label, PROFILE):
        raise HandleMalformed("the platform cannot have such a handle")
    return names.canon(label, PROFILE)


def _status(repo: Mapping[str, Any]) -> str:
    if repo.get("active"):
        return "active"
    return "suspended" if repo.get("status") in _SUSPENDED else "deactivated"


def _info(told: Mapping[str, Any]) -> Info:
    made = told.get("indexedAt")
    return Info(
        did=str(told["did"]),
        handle=str(told["handle"]),
        email=str(told.get("email") or ""),
        created_at=datetime.fromisoformat(made) if isinstance(made, str) else None,
        invited_for=str((told.get("invitedBy") or {}).get("forAccount", "")),
    )
