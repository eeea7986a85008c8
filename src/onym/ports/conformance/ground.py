"""What a check may stand on: the platform, what it offers, and what was named for trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from onym.ports.conformance.asking import Asker, Reply, Silent

_LARGEST_FENCE: Final = 2**62
_NAMED: Final = {
    "accounts": "name two accounts set apart for it: --account A --account B",
    "handle": "name a handle that nobody holds: --handle H",
    "key": "name the private key that the platform knows: --key FILE",
    "mail": "it cannot be put back; --hand-over MAIL tries it on the second account",
}


class NotReady(Exception):
    """What was named cannot be used for a check; the text says why."""


@dataclass(frozen=True, slots=True)
class Named:
    """An account for trials, and the handle that it holds before and after."""

    account_id: str
    handle: str


@dataclass(slots=True)
class Ground:
    """`free` is a handle for trials that nobody holds; `fences` the highest asked by handle."""

    asker: Asker
    offers: Mapping[str, Any]
    one: Named | None = None
    two: Named | None = None
    free: str | None = None
    mail: str | None = None
    astray: list[str] = field(default_factory=list)
    _fences: dict[str, int] = field(default_factory=dict)

    def lacks(self, need: str) -> str:
        """Why a clause with this need is not tried; empty where nothing is missing."""
        has = {
            "accounts": self.two,
            "handle": self.free,
            "mail": self.mail,
            "key": self.asker.signs,
        }
        if need in has:
            return "" if has[need] else _NAMED[need]
        return "" if self.offers.get(need) else f"not offered: `{need}` in GET /capabilities"

    @property
    def pair(self) -> tuple[Named, Named]:
        """Both accounts; only where a clause needs them."""
        if self.one is None or self.two is None:
            raise NotReady(_NAMED["accounts"])
        return self.one, self.two

    @property
    def custodian(self) -> str | None:
        found = self.offers.get("custodian")
        return None if found is None else str(found)

    def name(self, accounts: tuple[str, ...], free: str | None, mail: str | None) -> None:
        """Take accounts and a handle for trials. Raises NotReady, with the reason, and Silent."""
        if accounts:
            self.one, self.two = (self._named(account_id) for account_id in accounts)
        if free is not None:
            told = self.asker.read(f"/handles/{quote(free, safe='')}")
            if told.status != 200 or told.facts.get("account_id", "") is not None:
                raise NotReady(f"@{free} is not free: GET /handles/{free} answers {told}")
        self.free, self.mail = free, mail

    def _named(self, account_id: str) -> Named:
        told = self.asker.read(f"/accounts/{quote(account_id, safe='')}")
        handle = told.facts.get("handle")
        if told.status != 200 or not isinstance(handle, str):
            raise NotReady(f"account {account_id} cannot be used: it answers {told}")
        if told.facts.get("status") not in (None, "active"):
            raise NotReady(f"account {account_id} is {told.facts['status']}, not active")
        return Named(account_id, handle)

    # ---- asking

    def holder(self, handle: str) -> str | None:
        """Who holds it now. Raises Silent where the platform does not say."""
        told = self.asker.read(f"/handles/{quote(handle, safe='')}")
        found = told.facts.get("account_id", 0)
        if told.status != 200 or not isinstance(found, str | None):
            raise Silent(f"GET /handles/{handle} answers {told}")
        return found

    def handle_of(self, account_id: str) -> str:
        return str(self.asker.read(f"/accounts/{quote(account_id, safe='')}").facts.get("handle"))

    def move(
        self,
        handle: str,
        source: str | None,
        to: str | None,
        *,
        expected: str | None,
        fence: int | None = None,
        placeholder: str | None = None,
        retain: bool = False,
        key: str | None = None,
    ) -> Reply:
        """A move with the next fence unless one is given."""
        fence = self.next_fence(handle) if fence is None else fence
        self._fences[handle] = max(fence, self._fences.get(handle, 0))
        wish = {
            "from": source,
            "to": to,
            "placeholder": placeholder,
            "expected_holder": expected,
            "fence": fence,
            "retain": retain,
        }
        return self.asker.write(f"/handles/{quote(handle, safe='')}/move", wish, key=key)

    def bar(self, handle: str, holder: str | None, *, fence: int, key: str | None = None) -> Reply:
        """A move to its present holder: it changes the fence alone."""
        return self.move(handle, holder, holder, expected=holder, fence=fence, key=key)

    def next_fence(self, handle: str) -> int:
        """One above the highest that was used or asked for."""
        if handle not in self._fences:
            self._fences[handle] = self._used_fence(handle)  # felt for with moves, maybe
        self._fences[handle] += 1
        return self._fences[handle]

    def _used_fence(self, handle: str) -> int:
        """The highest used before we came: told with the handle, or else felt for with bars."""
        told = self.asker.read(f"/handles/{quote(handle, safe='')}").facts.get("fence")
        if isinstance(told, int):
            return told
        holder, fence = self.holder(handle), 1
        while fence < _LARGEST_FENCE and self.bar(handle, holder, fence=fence).code == STALE:
            fence *= 2
        return fence

    # ---- putting back

    def put_back(self) -> None:
        """Give both accounts their own handles again and free the free one; notes what cannot be.

        A handle waits with the custodian in between where the platform can retain it.
        """
        self.astray = []
        try:
            for named in (self.two, self.one):
                if named and self.holder(named.handle) != named.account_id:
                    self._give_back(named)
            if self.free and self.custodian and self.holder(self.free) == self.custodian:
                self.asker.write(f"/handles/{quote(self.free, safe='')}/unreserve", {})
            self._note()
        except Silent as trouble:
            self.astray.append(str(trouble))

    def _give_back(self, named: Named) -> None:
        holder = self.holder(named.handle)
        retain = self.offers.get("retain") is True and self._holds_the_others(named)
        source = None if holder == self.custodian else holder
        self.move(named.handle, source, named.account_id, expected=holder, retain=retain)

    def _holds_the_others(self, named: Named) -> bool:
        other = self.one if named is self.two else self.two
        return other is not None and self.holder(other.handle) == named.account_id

    def _note(self) -> None:
        for named in filter(None, (self.one, self.two)):
            if self.holder(named.handle) != named.account_id:
                self.astray.append(f"@{named.handle} is not with account {named.account_id}")
        if self.free and self.holder(self.free) is not None:
            self.astray.append(f"@{self.free} is not free")


STALE: Final = "stale_fence"
