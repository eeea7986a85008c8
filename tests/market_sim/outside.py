"""The outside world, in memory: it loses answers, answers late, and keeps books of its own.

What it did is known only here; the auditor holds the market's rows against it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from onym.core.errors import PlatformUnavailable
from onym.core.money import Money
from onym.ports.mail import Delivery, Message
from onym.ports.payments import Charge, Effect
from onym.ports.platform import AccountRow, Answer, Capabilities, Holding, Outcome

DECLINED = "pm_declined"


class Crash(BaseException):
    """The process dies here. Not an Exception: nobody may survive it."""


@dataclass
class Weather:
    """How bad things are; every draw comes from the one seed."""

    draw: random.Random
    lost: float = 0.0
    crash: float = 0.0
    stale: float = 0.0

    def strikes(self, chance: float) -> bool:
        return self.draw.random() < chance

    def crash_here(self) -> None:
        if self.strikes(self.crash):
            raise Crash

    def clear(self) -> None:
        self.lost = self.crash = self.stale = 0.0


@dataclass
class Provider:
    """Payments: each key happens at most once; an answer may be lost before or after the deed."""

    weather: Weather
    name: str = "sim"
    charges: dict[str, tuple[str, int]] = field(default_factory=dict)  # key → (state, minor)
    refunds: dict[str, int] = field(default_factory=dict)
    payouts: dict[str, tuple[str, int]] = field(default_factory=dict)  # key → (account, minor)

    def _deed(self, do: Callable[[], Any], unknown: Any) -> Any:
        self.weather.crash_here()
        if self.weather.strikes(self.weather.lost):
            return unknown
        said = do()
        self.weather.crash_here()
        return unknown if self.weather.strikes(self.weather.lost) else said

    def charge(self, *, key: str, amount: Money, method: str, **_: Any) -> Charge:
        def do() -> Charge:
            state = "declined" if method == DECLINED else "paid"
            self.charges.setdefault(key, (state, amount.minor if state == "paid" else 0))
            return self._charged(key)

        return self._deed(do, Charge("unknown"))  # type: ignore[no-any-return]  # do's answer

    def _charged(self, key: str) -> Charge:
        state, minor = self.charges[key]
        return Charge(state, f"pi_{key}", captured_minor=minor)  # type: ignore[arg-type]  # a word

    def ask(self, *, key: str, **_: Any) -> Charge:
        """A charge that never arrived is made final: it can never be paid any more."""

        def do() -> Charge:
            self.charges.setdefault(key, ("cancelled", 0))
            return self._charged(key)

        return self._deed(do, Charge("unknown"))  # type: ignore[no-any-return]  # do's answer

    def cancel(self, *, key: str, intent_id: str) -> Charge:
        return self.ask(key=key)

    def refund(self, *, key: str, amount: Money, **_: Any) -> Effect:
        def do() -> Effect:
            self.refunds.setdefault(key, amount.minor)
            return Effect("done", f"re_{key}")

        return self._deed(do, Effect("unknown"))  # type: ignore[no-any-return]  # do's answer

    def pay_out(self, *, key: str, account: str, amount: Money, **_: Any) -> Effect:
        def do() -> Effect:
            self.payouts.setdefault(key, (account, amount.minor))
            return Effect("done", f"tr_{key}")

        return self._deed(do, Effect("unknown"))  # type: ignore[no-any-return]  # do's answer


@dataclass
class Plaza:
    """The platform: one handle an account; moves by fence, expected holder and key."""

    weather: Weather
    holders: dict[str, str | None] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    moves: dict[str, tuple[str, Outcome]] = field(default_factory=dict)  # key → (to, answer)
    before: dict[str, tuple[datetime | None, str | None]] = field(default_factory=dict)
    at: datetime | None = None

    def handle_of(self, account_id: str) -> str | None:
        return next((h for h, holder in self.holders.items() if holder == account_id), None)

    def account(self, *, account_id: str) -> AccountRow | None:
        self._read()
        held = self.handle_of(account_id)
        if held is None:
            return None
        return AccountRow(
            account_id=account_id, handle=held, last_login_at=self.seen.get(account_id)
        )

    def capabilities(self) -> Capabilities:
        """It keeps what a mover gives up; nothing else is asked of it here."""
        return Capabilities(
            profile="x",
            custodian=None,
            atomic_move=True,
            reserve=False,
            retain=True,
            hand_over=False,
            notices=False,
            notice_batch=1,
            signals=("last_login_at",),
        )

    def holder(self, *, handle: str) -> Holding:
        """The holder, or, from a copy that lags for an hour, the one before the last move."""
        self._read()
        since, last = self.before.get(handle, (None, None))
        if since == self.at and handle in self.before and self.weather.strikes(self.weather.stale):
            return Holding(handle, last)
        return Holding(handle, self.holders.get(handle))

    def _read(self) -> None:
        self.weather.crash_here()
        if self.weather.strikes(self.weather.lost):
            raise PlatformUnavailable("no answer")

    def move(self, *, key: str, **wish: Any) -> Outcome:
        self.weather.crash_here()
        if self.weather.strikes(self.weather.lost):
            return Outcome(Answer.UNKNOWN)
        if key not in self.moves:
            self.moves[key] = (wish["to"], self._move(wish))
        self.weather.crash_here()
        lost = self.weather.strikes(self.weather.lost)
        return Outcome(Answer.UNKNOWN) if lost else self.moves[key][1]

    def _move(self, wish: dict[str, Any]) -> Outcome:
        handle, to = wish["handle"], wish["to"]
        holder = self.holders.get(handle)
        if wish["fence"] <= self.fences.get(handle, 0):
            return Outcome(Answer.REFUSED, "stale_fence")
        if holder != wish["expected_holder"]:
            return Outcome(Answer.REFUSED, "wrong_holder")
        self.fences[handle] = wish["fence"]
        if holder == to:
            return Outcome(Answer.DONE)
        self.before[handle] = (self.at, holder)
        old = self.handle_of(to)
        if old is not None:
            self.holders[old] = "custodian" if wish.get("retain") else None
        if holder not in (None, "custodian"):
            self.holders[wish["placeholder"]] = holder
        self.holders[handle] = to
        return Outcome(Answer.DONE)

    def unreserve(self, *, handle: str, key: str) -> Outcome:
        if self.weather.strikes(self.weather.lost):
            return Outcome(Answer.UNKNOWN)
        self.holders[handle] = None
        return Outcome(Answer.DONE)

    def notify(self, **_: Any) -> Outcome:
        lost = self.weather.strikes(self.weather.lost)
        return Outcome(Answer.UNKNOWN if lost else Answer.DONE)

    def notify_all(self, *, notices: Sequence[Any]) -> Sequence[Outcome]:
        return [self.notify() for _ in notices]


@dataclass
class Post:
    """The post office: takes letters, forgets to say so, and knows each by its key."""

    weather: Weather
    letters: dict[str, Message] = field(default_factory=dict)

    def send(self, message: Message) -> Delivery:
        self.weather.crash_here()
        self.letters[message.key] = message
        self.weather.crash_here()
        return Delivery("unknown" if self.weather.strikes(self.weather.lost) else "sent")
