"""An outside behind its breaker: while it is open, nobody waits for what will not come.

Each process learns by itself (docs/adr/0039); changes are told to whoever shows them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from onym.core import breaker as core
from onym.core.breaker import Breaker, State
from onym.core.errors import PlatformUnavailable
from onym.ports.mail import Delivery
from onym.ports.payments import Charge, Checkout, Effect
from onym.ports.platform import Answer, Outcome

NOT_ASKED: Final = "not_asked"
Tell = Callable[[str, State, float], None]
"""Told of a change: the outside's name, its state, and for how many seconds it stays so."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an answer says about the outside; `retry_after` in seconds, where it asked for quiet."""

    fault: bool
    retry_after: float | None = None


class Gate:
    """One outside's breaker, shared by the threads of a process."""

    def __init__(
        self, name: str, *, tell: Tell | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._breaker = Breaker()
        self._lock = threading.Lock()
        self._tell, self._clock = tell, clock

    def state(self) -> State:
        return self._breaker.state(self._clock())

    def enter(self) -> bool:
        """Whether to ask now."""
        with self._lock:
            may, self._breaker = core.ask(self._breaker, self._clock())
        return may

    def leave(self, heard: Heard) -> None:
        """Learn from what came of asking."""
        with self._lock:
            now, before = self._clock(), self._breaker
            after = core.failed(before, now) if heard.fault else core.answered(before, now)
            if heard.retry_after is not None:
                after = core.pressed(before, now, seconds=heard.retry_after)
            self._breaker = after
        if self._tell is not None and before.until != after.until:
            self._tell(self.name, after.state(now), max(0.0, (after.until or now) - now))


class Guarded:
    """Any outside: asks through the gate, and while it is shut answers as if nobody had answered.

    Reads then refuse `platform_unavailable` at once; writes are unknown with the code `not_asked`,
    which is resolved by asking later under the same key, like every unknown.
    """

    def __init__(
        self,
        outside: Any,
        *,
        gate: Gate,
        shut: Callable[[str, dict[str, Any]], Any],
        at_home: Sequence[str] = (),
    ) -> None:
        """`shut` is what a method answers unasked; those named `at_home` ask nobody."""
        self._outside, self._gate, self._shut = outside, gate, shut
        self._at_home = frozenset(at_home)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._outside, name)
        return partial(self._ask, name, found) if self._asks(name, found) else found

    def _asks(self, name: str, found: Any) -> bool:
        return callable(found) and name not in self._at_home and not name.startswith("_")

    def _ask(self, name: str, act: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if not self._gate.enter():
            return self._shut(name, named)
        heard = Heard(fault=True)
        try:
            answer = act(*args, **named)
            heard = hear(answer, name=name)
        except PlatformUnavailable as trouble:
            heard = Heard(fault=True, retry_after=_seconds(trouble.facts.get("retry_after")))
            raise
        except Exception:  # a refusal, or a fault of ours: it was answered all the same
            heard = Heard(fault=False)
            raise
        finally:
            self._gate.leave(heard)
        return answer


def _seconds(told: Any) -> float | None:
    return float(told) if isinstance(told, int | float) else None


def hear(answer: Any, *, name: str = "") -> Heard:
    """A fault is what leaves open whether the outside works: no answer, a crash, a full queue.

    `name` is the method's: of some, nothing, or a reason in words, is what silence answers.
    """
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], Outcome):
        heard = [hear(one) for one in answer]
        return next((one for one in heard if not one.fault), heard[0])
    if isinstance(answer, Outcome):
        fault = answer.unknown and answer.code not in ("in_progress", NOT_ASKED)
        return Heard(fault, answer.retry_after)
    if name in _LISTS:
        return Heard(fault=answer is None)
    if isinstance(answer, str):
        return Heard(fault=answer in _PAYMENT_FAULTS)
    if isinstance(answer, Charge | Checkout | Effect):
        return Heard(answer.state == "unknown" and answer.reason in _PAYMENT_FAULTS)
    if isinstance(answer, Delivery):
        return Heard(answer.state == "unknown" and not answer.reason.startswith("4"))
    return Heard(fault=False)


_LISTS: Final = frozenset({"chargebacks", "lines"})
_PAYMENT_FAULTS: Final = frozenset({"no_answer", "provider_failed", "rate_limited"})
_WRITES: Final = frozenset({"move", "reserve", "unreserve", "hand_over", "notify"})


def shut_platform(name: str, asked: dict[str, Any]) -> Any:
    """What a platform's method answers unasked. Refuses `platform_unavailable` for a read."""
    unknown = Outcome(Answer.UNKNOWN, NOT_ASKED, "the platform has failed too often")
    if name == "notify_all":
        return [unknown] * len(asked["notices"])
    if name in _WRITES:
        return unknown
    raise PlatformUnavailable("the platform has failed too often and is left alone for a while")


def shut_payments(name: str, _: dict[str, Any]) -> Any:
    """What a provider's method answers unasked."""
    if name in ("charge", "ask", "cancel", "capture"):
        return Charge("unknown", reason=NOT_ASKED)
    if name in ("check_out", "end_checkout"):
        return Checkout("unknown", reason=NOT_ASKED)
    if name in ("refund", "ask_refund", "pay_out", "ask_pay_out"):
        return Effect("unknown", reason=NOT_ASKED)
    raise PlatformUnavailable("the payment provider has failed too often")


def shut_mail(_: str, __: dict[str, Any]) -> Delivery:
    """Unknown: the letter is sent again later, under the same Message-ID."""
    return Delivery("unknown", NOT_ASKED)
