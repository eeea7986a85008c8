"""The market's record: what was sold, by week, by tier, and whose a handle was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests import lived_in, make

from onym.core.money import Money
from onym.queries import ground, names, trend

pytestmark = pytest.mark.usefixtures("database")
DAY = timedelta(days=1)


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.fixture
def pair(place: Any) -> tuple[Any, Any]:
    return make.member(place, account="acc-nadia"), make.member(place, account="acc-seller")


def sold(pair: Any, row: Any, *, minor: int, days_ago: float, **changes: Any) -> Any:
    at = ground.of("demo").now - days_ago * DAY
    return lived_in.sale(row, *pair, minor=minor, at=at, **changes)


def test_settled_sales_are_public_with_price_and_date_the_latest_first(
    place: Any, pair: Any
) -> None:
    moon, sun = make.handle(place, "moon"), make.handle(place, "sun")
    first = sold(pair, moon, minor=1_000, days_ago=9)
    last = sold(pair, sun, minor=2_000, days_ago=2, private=True, mechanism="invitation")
    sold(pair, moon, minor=3_000, days_ago=1, state="funded", closed_at=None)
    found = trend.recently_sold("demo")
    assert [(one["id"], one["handle"], one["price"]) for one in found] == [
        (last.id, "sun", make.usd(20)),
        (first.id, "moon", make.usd(10)),
    ]
    assert found[0]["at"] == last.closed_at
    assert trend.recently_sold("demo", limit=1) == found[:1]
    assert trend.price_history("demo", "moon") == found[1:]
    assert trend.history_of(trend.settled("demo", handle="moon"), handle="moon") == found[1:]
    assert trend.settled("demo", handle="moon") == found


def test_a_week_counts_its_sales_their_prices_and_what_they_earned(place: Any, pair: Any) -> None:
    row, now = make.handle(place, "moon"), ground.of("demo").now
    monday = (now - now.weekday() * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    ago = (now - monday).total_seconds() / 86_400
    for minor, days in ((1_000, ago), (2_000, 0), (4_000, ago + 0.001), (8_000, 7 * 26 + ago)):
        sold(pair, row, minor=minor, days_ago=days)
    weeks = trend.sold_by_week("demo")
    assert len(weeks) == 26
    assert [week["week"] for week in weeks[-2:]] == [
        monday.date() - timedelta(days=7),
        monday.date(),
    ]
    assert [(week["count"], week["sum"], week["commission"]) for week in weeks[-2:]] == [
        (1, make.usd(40), make.usd(2)),
        (2, make.usd(30), Money(150, "USD")),
    ]
    assert sum(week["count"] for week in weeks) == 3
    assert trend.sold_by_week("demo", weeks=1) == weeks[-1:]


def test_sell_through_tells_listed_from_sold_by_tier(place: Any, pair: Any) -> None:
    for name, state in (("moon", "sold"), ("sun", "open"), ("zq81kxv", "withdrawn")):
        lived_in.listed(make.handle(place, name), pair[1], minor=900, at=make.NOW, state=state)
    rows = {row["tier"]: row for row in trend.sell_through("demo")}
    tier = names.handle("demo", "moon")["tier"]["name"]
    assert rows[tier] == {"tier": tier, "listed": 2, "sold": 1, "open": 1}
    assert sum(row["listed"] for row in rows.values()) == 3
    assert set(rows) == {"standard", "priority", "rare"}


def test_what_ends_soon_are_the_announced_releases_ahead_and_nothing_private(place: Any) -> None:
    lived_in.adopted(place, ground.of("demo").now)
    found = trend.ending_soon("demo")
    now = ground.of("demo").now
    assert [(one["what"], one["percent"]) for one in found] == [("release", 10), ("release", 100)]
    assert now < found[0]["at"] < found[1]["at"]
    assert trend.ending_soon("demo", limit=1) == found[:1]


def test_the_line_of_tenures_has_its_gaps_and_fills_a_thousand() -> None:
    start = make.LONG_AGO

    def tenure(account: str, since: int, to: int | None) -> dict[str, Any]:
        ends = {"held_from": start + since * DAY, "held_to": start + to * DAY if to else None}
        return {"account_id": account, "cause": "trade", **ends}

    line = names.tenure_line(
        [tenure("a", 0, 10), tenure("b", 10, 25), tenure("c", 50, None)], now=start + 100 * DAY
    )
    assert [(one["account_id"], one["share"]) for one in line] == [
        ("a", 100),
        ("b", 150),
        (None, 250),
        ("c", 500),
    ]
    assert line[2]["cause"] == "nobody"
    ended = names.tenure_line([tenure("a", 0, 30)], now=start + 90 * DAY)
    assert [one["share"] for one in ended] == [333, 667]
    assert names.tenure_line([], now=start) == []
