"""Charts for pages: what the market knows, drawn by web/charts in the page's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from django import template
from django.utils import translation
from django.utils.translation import gettext

from onym.core.money import Money
from onym.web import charts
from onym.web.charts import Chart, Moment, Period, Point
from onym.web.templatetags.market import cause, plain_money, word

register = template.Library()
FIGURE = "charts/figure.html"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its name on the page, its title and the heads of its table."""

    id: str
    title: str
    heads: Sequence[str]
    chart: Chart

    @property
    def description(self) -> str:
        """Every number in a sentence, for whoever cannot see the drawing."""
        return "; ".join(": ".join((row[0], " · ".join(row[1:]))) for row in self.chart.rows)


@register.inclusion_tag(FIGURE)
def verdict_chart(counts: Mapping[str, int]) -> dict[str, Any]:
    """A sweep's verdicts, most frequent first: {verdict: accounts}."""
    points = [Point(word(code), n) for code, n in sorted(counts.items(), key=lambda one: -one[1])]
    heads = (gettext("Verdict"), gettext("Accounts"))
    return _figure("verdicts", gettext("Verdicts"), heads, charts.stacked(points, say=_number))


@register.inclusion_tag(FIGURE)
def funnel_chart(steps: Sequence[tuple[str, int]], title: str) -> dict[str, Any]:
    """What is left after each step: [(name in the page's language, count)]."""
    points = [Point(*step) for step in steps]
    heads = (gettext("Step"), gettext("Number"), gettext("Share"))
    return _figure("funnel", title, heads, charts.funnel(points, say=_number, share=_percent))


@register.inclusion_tag(FIGURE)
def revenue_chart(weeks: Sequence[tuple[date, Money]]) -> dict[str, Any]:
    """Revenue by week: [(its Monday, amount)], all in one currency."""
    currency = weeks[0][1].currency if weeks else "USD"
    points = [Point(_day(monday), amount.minor) for monday, amount in weeks]
    heads = (gettext("Week from"), gettext("Revenue"))
    drawn = charts.bars(points, say=lambda minor: _money(Money(minor, currency)))
    return _figure("revenue", gettext("Revenue by week"), heads, drawn)


@register.inclusion_tag(FIGURE)
def sold_chart(weeks: Sequence[tuple[date, int]]) -> dict[str, Any]:
    """Sales by week: [(its Monday, count)]."""
    points = [Point(_day(monday), count) for monday, count in weeks]
    heads = (gettext("Week from"), gettext("Sold"))
    drawn = charts.bars(points, say=_number)
    return _figure("sold", gettext("Sold by week"), heads, drawn)


@register.inclusion_tag(FIGURE)
def price_chart(prices: Sequence[tuple[datetime, Money]]) -> dict[str, Any]:
    """A handle's prices: [(instant, amount)], all in one currency."""
    currency = prices[0][1].currency if prices else "USD"
    moments = [Moment(at, _day(at), amount.minor) for at, amount in prices]
    heads = (gettext("Day"), gettext("Price"))
    drawn = charts.steps(moments, say=lambda minor: _money(Money(minor, currency)))
    return _figure("prices", gettext("Price history"), heads, drawn)


@register.inclusion_tag(FIGURE)
def factor_chart(factors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The factors of an appraisal as the API gives them: [{"name", "percent"}]."""
    points = [Point(word(one["name"]), round(one["percent"] * 10)) for one in factors]
    heads = (gettext("Factor"), gettext("Part"))
    drawn = charts.factors(points, say=_signed)
    return _figure("factors", gettext("What makes the estimate"), heads, drawn)


@register.inclusion_tag(FIGURE)
def sell_through_chart(tiers: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    """What was offered and what was sold of each tier: [(tier, offered, sold)]."""
    groups = [(word(tier), (offered, sold)) for tier, offered, sold in tiers]
    series = (gettext("Offered"), gettext("Sold"))
    drawn = charts.grouped(groups, series=series, say=_number)
    return _figure("sell-through", gettext("Sold of each tier"), (gettext("Tier"), *series), drawn)


@register.inclusion_tag(FIGURE)
def tenure_chart(tenures: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """The holders of a handle as the API gives them, up to `now`."""
    periods = [
        Period(
            f"{_apart(one['account_id'])} · {cause(one['cause'])}",
            one["held_from"],
            one["held_to"] or now,
            _span(one["held_from"], one["held_to"]),
        )
        for one in tenures
    ]
    heads = (gettext("Holder"), gettext("Time"))
    return _figure("tenures", gettext("Holders over time"), heads, charts.tenures(periods))


def _figure(name: str, title: str, heads: Sequence[str], chart: Chart) -> dict[str, Any]:
    rtl = translation.get_language_bidi()
    shown = chart.mirrored() if rtl else chart
    direction = "rtl" if rtl else "ltr"
    return {"figure": Figure(name, title, heads, shown), "direction": direction}


def _span(since: datetime, until: datetime | None) -> str:
    end = _day(until) if until else gettext("today")
    return f"{_day(since)} – {end}"


def _day(at: date) -> str:
    return str(format_date(at, "d MMM y", locale=_locale()))


def _number(value: int) -> str:
    return str(format_decimal(value, locale=_locale()))


def _percent(value: int) -> str:
    return _apart(str(format_percent(Decimal(value) / 100, locale=_locale())))


def _signed(tenths: int) -> str:
    """Tenths of a per cent with their sign."""
    sign = "+" if tenths > 0 else "−" if tenths < 0 else ""
    shown = format_percent(
        Decimal(abs(tenths)) / 1000, locale=_locale(), decimal_quantization=False
    )
    return _apart(f"{sign}{shown}")


def _money(amount: Money) -> str:
    return _apart(plain_money(amount))


def _apart(text: str) -> str:
    """Isolated from the direction of the words around it, as <bdi> does where there is HTML."""
    plain = text.replace("\u200f", "").replace("\u200e", "")
    return f"\u2066{plain}\u2069"


def _locale() -> str:
    return translation.get_language() or "en"
