"""What was sold, for how much and when: the market's public record, read for its charts.

A private sale's price is public once the sale is settled, and not before (docs/concepts/log.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncWeek

from onym.core.money import Money
from onym.queries import appraisal, ground, names
from onym.queries.ground import Ground
from onym.store.models import Listing, Sale

COMPARED = 200
WEEKS = 26
TIERED = 5_000
"""Listings that one answer reads the tier of, the latest."""

Sold = dict[str, Any]
"""`id`, `handle`, `mechanism`, `price`, `at` of a settled sale."""


def settled(namespace: str, *, handle: str) -> list[Sold]:
    """The latest sales of the namespace, and every one of `handle`; the latest first."""
    rows = _settled(namespace)
    own, others = rows.filter(handle__handle=handle), rows.exclude(handle__handle=handle)
    both = own.union(others.order_by("-closed_at", "-id")[:COMPARED], all=True)
    return [_sold(*row) for row in both.order_by("-closed_at", "-id")]


def recently_sold(place: str | Ground, *, limit: int = 6) -> list[Sold]:
    """The latest settled sales, those between members and the house's alike."""
    rows = _settled(ground.of(place).id).order_by("-closed_at", "-id")
    return [_sold(*row) for row in rows[:limit]]


def price_history(place: str | Ground, handle: str) -> list[Sold]:
    """Every settled sale of a handle (canonical), the latest first."""
    rows = _settled(ground.of(place).id).filter(handle__handle=handle)
    return [_sold(*row) for row in rows.order_by("-closed_at", "-id")]


def history_of(sold: Iterable[Sold], *, handle: str) -> list[Sold]:
    """The same out of what `settled` answered."""
    return [sale for sale in sold if sale["handle"] == handle]


def _settled(namespace: str) -> QuerySet[Sale, tuple[Any, ...]]:
    rows = Sale.objects.filter(namespace_id=namespace, state="settled", closed_at__isnull=False)
    columns = ("id", "handle__handle", "mechanism", "price_minor", "currency", "closed_at")
    return rows.values_list(*columns)


def _sold(id_: str, handle: str, mechanism: str, minor: int, currency: str, at: datetime) -> Sold:
    price = Money(minor, currency)
    return {"id": id_, "handle": handle, "mechanism": mechanism, "price": price, "at": at}


def sold_by_week(place: str | Ground, *, weeks: int = WEEKS) -> list[dict[str, Any]]:
    """The last `weeks` weeks (Monday, UTC), this one last, empty ones too: `week` (its first day),
    `count`, `sum` of the prices, `commission` that they earned.
    """
    looked = ground.of(place)
    today = looked.now.date()
    last = today - timedelta(days=today.weekday())
    first = last - timedelta(weeks=weeks - 1)
    rows = Sale.objects.filter(namespace=looked.place, state="settled", closed_at__date__gte=first)
    known = {
        row["week"].date(): row
        for row in rows.annotate(week=TruncWeek("closed_at"))
        .values("week")
        .annotate(count=Count("pk"), sum=Sum("price_minor"), commission=Sum("commission_minor"))
    }
    days = [first + timedelta(weeks=number) for number in range(weeks)]
    return [_week(day, known.get(day), looked.place.currency) for day in days]


def _week(day: date, row: Any, currency: str) -> dict[str, Any]:
    found = row or {"count": 0, "sum": 0, "commission": 0}
    return {
        "week": day,
        "count": found["count"],
        "sum": Money(int(found["sum"]), currency),
        "commission": Money(int(found["commission"]), currency),
    }


def sell_through(place: str | Ground) -> list[dict[str, Any]]:
    """By tier: how many listings were ever `listed`, and how many of them `sold`, `open`."""
    looked = ground.of(place)
    rows = Listing.objects.filter(namespace=looked.place).order_by("-id")
    counts: dict[str, Counter[str]] = {tier: Counter() for tier in ("standard", "priority", "rare")}
    rules = names.rules(looked)
    for handle, state in rows.values_list("handle__handle", "state")[:TIERED]:
        tier = appraisal.tier(handle, rules=rules)["name"]
        counts.setdefault(tier, Counter()).update(("listed", state))
    return [
        {"tier": tier, "listed": known["listed"], "sold": known["sold"], "open": known["open"]}
        for tier, known in counts.items()
    ]


def ending_soon(place: str | Ground, *, limit: int = 6) -> list[dict[str, Any]]:
    """What the public can see end or begin, the soonest first: `what`, `at`, and its facts.

    Nothing public ends by itself yet: a listing stands until somebody buys or withdraws it, and
    offers and invitations are private. So these are the announced stages of release that lie
    ahead: `what` is `release`, with `policy`, `percent`, and `at` its first release.
    """
    looked = ground.of(place)
    stages = [
        {"what": "release", "policy": plan.policy_ref, "percent": percent, "at": at}
        for plan in looked.plans
        for percent, starts_at in plan.stages
        if (at := datetime.fromisoformat(starts_at) + plan.first_rest) > looked.now
    ]
    return sorted(stages, key=lambda one: (one["at"], one["policy"], one["percent"]))[:limit]
