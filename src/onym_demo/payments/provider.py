"""What every verb gets: the provider (state, clocks, options) and the call (fields, ids)."""

from __future__ import annotations

from dataclasses import dataclass, field

from onym_demo.clock import Clock
from onym_demo.payments.state import State
from onym_demo.payments.wire import JSON

API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True, slots=True)
class Options:
    """`settle_seconds`: how long *processing* lasts. `max_minor`: the largest single charge."""

    base: str = "http://127.0.0.1"
    api_key: str = "sk_test_onym"
    webhook_url: str = ""
    webhook_secrets: tuple[str, ...] = ("whsec_onym",)
    settle_seconds: float = 3.0
    max_minor: int = 999_999_999_999


@dataclass(frozen=True, slots=True)
class Provider:
    state: State
    clock: Clock
    options: Options

    def now(self) -> int:
        """Market time in whole seconds, for `created` fields and the books."""
        return int(self.clock.market())


@dataclass(frozen=True, slots=True)
class Call:
    """`id` is the path's id or empty, `account` the connected account acted for or empty."""

    params: JSON = field(default_factory=dict)
    id: str = ""
    account: str = ""


def sale_of(body: JSON) -> str:
    """The sale that an object belongs to, by its metadata, or empty."""
    return str((body.get("metadata") or {}).get("sale_id", ""))
