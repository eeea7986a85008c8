"""How amounts, instants and codes are written for people, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from urllib.parse import urlencode

from babel.core import Locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent
from django import template
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from onym.core.money import MINOR_DIGITS, Money
from onym.queries import reasons
from onym.web import areas
from onym.web.problems import MEANINGS, TROUBLES
from onym.web.words import EVENTS, WORDS, tier_reason

register = template.Library()
ALWAYS = 10**9
"""So that a period is counted in the unit that is asked for, however many there are."""


@register.filter
def money(value: Money | None) -> SafeString:
    """An amount with its currency, as the page's language writes it, in one piece."""
    if value is None:
        return SafeString("")
    return format_html('<bdi dir="ltr" class="money">{}</bdi>', plain_money(value))


def plain_money(value: Money) -> str:
    """The same where there is no markup."""
    whole = Decimal(value.minor).scaleb(-MINOR_DIGITS[value.currency])
    return str(format_currency(whole, value.currency, locale=_locale())).replace("\u200f", "")


@register.filter
def about(value: Money | None) -> SafeString:
    """An estimate, rounded to two figures and without its cents: it is no more exact than that."""
    if value is None:
        return SafeString("")
    rounded = _two_figures(value)
    pattern = copy(Locale.parse(_locale()).currency_formats["standard"])
    pattern.frac_prec = (0, 0)
    shown = pattern.apply(rounded, _locale(), currency=value.currency, currency_digits=False)
    return format_html('<bdi dir="ltr" class="money">{}</bdi>', shown.replace("\u200f", ""))


@register.filter
def plain(value: Money | None) -> str:
    """An amount as a field takes it in any language: no grouping, a point, no cents if none."""
    if value is None:
        return ""
    whole = Decimal(value.minor).scaleb(-MINOR_DIGITS[value.currency])
    return f"{whole:.0f}" if whole == int(whole) else f"{whole:f}"


@register.filter
def plain_about(value: Money | None) -> str:
    """An estimate as a field takes it, rounded as it is shown."""
    return "" if value is None else f"{_two_figures(value):.0f}"


def _two_figures(value: Money) -> Decimal:
    whole = Decimal(value.minor).scaleb(-MINOR_DIGITS[value.currency])
    places = max(whole.adjusted() - 1, 0)
    unit = Decimal(10) ** places
    return (whole / unit).quantize(Decimal(1)) * unit


@register.filter
def grouped(text: str) -> str:
    """An account number or a payment reference in groups of four, as people read it out."""
    return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


@register.filter
def period(value: timedelta) -> str:
    """How long something lasts: up to three days in hours, as the guidelines count them."""
    unit: Literal["day", "hour"] = "day" if value > timedelta(days=3) else "hour"
    return str(format_timedelta(value, granularity=unit, threshold=ALWAYS, locale=_locale()))


@register.filter
def number(value: float | None) -> str:
    """A number as the page's language writes it."""
    return "" if value is None else str(format_decimal(value, locale=_locale()))


@register.filter
def percent(value: int | None) -> str:
    """Whole per cent, as the page's language writes them."""
    if value is None:
        return ""
    return str(format_percent(Decimal(value) / 100, locale=_locale()))


@register.filter
def when(value: datetime | str | None) -> SafeString:
    """An instant in UTC, readable and exact; text is RFC 3339."""
    if not value:
        return SafeString("")
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    comma = "،" if _locale() == "ar" else ","
    shown = format_datetime(at, f"d MMM y{comma} HH:mm 'UTC'", locale=_locale())
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), shown)


@register.filter
def day(value: datetime | str | None) -> SafeString:
    """An instant's date, for places where the hour says nothing."""
    if not value:
        return SafeString("")
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    shown = format_date(at, "d MMM y", locale=_locale())
    return format_html('<time data-said datetime="{}">{}</time>', at.isoformat(), shown)


@register.filter
def date(value: datetime | None) -> str:
    """A day in words, in plain text."""
    return str(format_date(value, "long", locale=_locale())) if value else ""


@register.filter
def moment(value: datetime | None) -> str:
    """An instant in words, in plain text; UTC is named."""
    if not value:
        return ""
    comma = "،" if _locale() == "ar" else ","
    return f"{date(value)}{comma} {format_datetime(value, 'HH:mm', locale=_locale())} UTC"


@register.filter
def onward(asked: Mapping[str, str], after: str) -> str:
    """The query of a search's next page: what was asked, and from where on."""
    return urlencode([(k, v) for k, v in asked.items() if v and k != "after"] + [("after", after)])


@register.filter
def month_name(value: str) -> str:
    """2026-11 in words."""
    return str(format_date(datetime.fromisoformat(f"{value}-01"), "LLLL y", locale=_locale()))


@register.filter
def at(handle: str) -> SafeString:
    """A handle, isolated from the direction of the text around it."""
    return format_html('<bdi class="handle" dir="ltr">@{}</bdi>', handle)


@register.filter
def word(code: str | None) -> str:
    """A code of the market (a state, a tier, a cause, …) in words; an unknown one as it is.

    A word's factor names its language: `word_fr`.
    """
    if code and code.startswith("word_"):
        return gettext("dictionary word (%s)") % _language_name(code.removeprefix("word_"))
    return gettext(WORDS[code]) if code in WORDS else str(code or "")


@register.filter
def event(type: str) -> str:
    """A kind of event in words; one without words by its name."""
    return gettext(EVENTS[type]) if type in EVENTS else type


@register.filter
def reason(code: str) -> str:
    """A policy's reason code in words; an operator's own rule as its code."""
    return word(reasons.phrases([code], language=_locale())[0])


@register.filter
def sentence(why: str) -> str:
    """Why a handle is of its tier."""
    return tier_reason(why)


@register.filter
def cause(code: str) -> str:
    """How a tenure began; a trade is also a word of trade, so it has a key of its own."""
    return word("trade_sale" if code == "trade" else code)


@register.filter
def meaning(code: str) -> str:
    """What a refusal's code means; nothing for a code that only programs see."""
    known = MEANINGS | TROUBLES
    return gettext(known[code].what) if code in known else ""


@register.filter
def advice(code: str) -> str:
    """What one may do about a refusal."""
    known = MEANINGS | TROUBLES
    return gettext(known[code].then) if code in known else ""


def _language_name(code: str) -> str:
    """A language as the page's language calls it; one that nobody knows by its code."""
    return str(Locale(_locale()).languages.get(code, code))


def _locale() -> str:
    return translation.get_language() or "en"


@register.filter
def area(name: str) -> str:
    """What an area of the market is called."""
    return gettext(areas.NAMES[name])


@register.filter
def area_effect(name: str) -> str:
    """What an area's stop holds up."""
    return gettext(areas.EFFECTS[name])


@register.filter
def area_notice(name: str) -> str:
    """What everybody is told while an area is stopped."""
    return gettext(areas.NOTICES[name])
