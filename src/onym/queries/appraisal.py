"""Tier and appraisal of a handle, from the lexicon in DATA and what the market knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from onym.core import appraisal, policies, policy, reading
from onym.core.lexicon import Lexicon
from onym.core.money import Money
from onym.core.policies.model import Policy
from onym.store.models import Offer, Sale
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
    namespace: str, handle: str, *, account: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """Low, mid, high, base and factors; the level is the namespace's currency's default."""
    age = None
    if account and account.get("created_at"):
        age = (now - account["created_at"]).total_seconds() / YEAR_SECONDS
    found = appraisal.appraise(
        handle,
        lexicon=known_words(),
        model=model(),
        refs=account.get("inbound_refs") if account else None,
        age=age,
        demand=Offer.objects.filter(namespace_id=namespace, handle__handle=handle).count() or None,
    )
    return {
        "low": found.low,
        "mid": found.mid,
        "high": found.high,
        "base": found.base,
        "factors": [asdict(factor) for factor in found.factors],
    }


def comparables(namespace: str, handle: str) -> list[dict[str, Any]]:
    """Public settled sales of this namespace that resemble the handle most."""
    rows = Sale.objects.filter(namespace_id=namespace, state="settled").exclude(
        handle__handle=handle
    )
    known = [
        appraisal.Comparable(
            handle=row.handle.handle, price=Money(row.price_minor, row.currency), at=row.closed_at
        )
        for row in rows.select_related("handle").order_by("-closed_at")[:200]
        if row.closed_at
    ]
    found = appraisal.nearest(handle, known, lexicon=known_words(), count=MOST_COMPARABLES)
    return [{"handle": sale.handle, "price": sale.price, "at": sale.at} for sale in found]
