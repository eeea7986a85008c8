"""Tier and appraisal of a handle, from the lexicon in DATA and what the market knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from onym.core import appraisal, policies, policy, reading
from onym.core.lexicon import Lexicon
from onym.core.policies.model import Policy
from onym.sweep import lexicon as lexicons

YEAR_SECONDS = 365.25 * 86_400
MOST_COMPARABLES = 5


def known_words() -> Lexicon:
    """The lexicon that first start built; mapped once per process."""
    return _mapped(Path(settings.DATA) / "lexicon")


@lru_cache(maxsize=1)
def _mapped(path: Path) -> Lexicon:
    return lexicons.ensure(path)


@lru_cache(maxsize=1)
def model() -> appraisal.Model:
    return appraisal.built_in()


def tier(handle: str, *, rules: Policy) -> Mapping[str, str]:
    """`{"name", "reason"}`: the first tier rule that holds, as a sentence."""
    facts = reading.facts(handle, known_words())
    found = policy.tier(rules, facts)
    return {"name": found.name, "reason": found.reason}


@lru_cache(maxsize=4)
def default_rules() -> Policy:
    """The tiers of the built-in policy, for a namespace that has published none."""
    return policies.built_in("onym-default")


def appraise(
    handle: str, *, account: Mapping[str, Any] | None, demand: int | None, now: datetime
) -> dict[str, Any]:
    """Low, mid, high, base and factors; the level is the namespace's currency's default.

    `demand` counts those who have offered; None or 0 counts neither way.
    """
    age = None
    if account and account.get("created_at"):
        age = (now - account["created_at"]).total_seconds() / YEAR_SECONDS
    found = appraisal.appraise(
        handle,
        lexicon=known_words(),
        model=model(),
        refs=account.get("inbound_refs") if account else None,
        age=age,
        demand=demand or None,
    )
    return {
        "low": found.low,
        "mid": found.mid,
        "high": found.high,
        "base": found.base,
        "factors": [{"name": one.name, "percent": one.percent} for one in found.factors],
    }


def strongest(factors: Iterable[Mapping[str, Any]], *, count: int = 3) -> list[Mapping[str, Any]]:
    """The factors that move an appraisal most, up or down."""
    return sorted(factors, key=lambda one: -abs(one["percent"]))[:count]


def comparables(handle: str, sold: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Those of the settled sales (`handle`, `price`, `at`) that resemble the handle most."""
    known = [
        appraisal.Comparable(handle=sale["handle"], price=sale["price"], at=sale["at"])
        for sale in sold
        if sale["handle"] != handle
    ]
    found = appraisal.nearest(handle, known, lexicon=known_words(), count=MOST_COMPARABLES)
    return [{"handle": sale.handle, "price": sale.price, "at": sale.at} for sale in found]
