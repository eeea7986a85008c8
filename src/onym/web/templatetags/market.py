"""How amounts, instants and codes are written for people, in their language."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from babel.dates import format_datetime
from babel.numbers import format_currency
from django import template
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString

from onym.core.money import MINOR_DIGITS, Money

register = template.Library()


@register.filter
def money(value: Money | None) -> str:
    """An amount with its currency, as the page's language writes it."""
    if value is None:
        return ""
    whole = Decimal(value.minor).scaleb(-MINOR_DIGITS[value.currency])
    return str(format_currency(whole, value.currency, locale=_locale()))


@register.filter
def when(value: datetime | None) -> SafeString:
    """An instant in UTC, readable and exact."""
    if value is None:
        return SafeString("")
    shown = format_datetime(value, "d MMM y, HH:mm 'UTC'", locale=_locale())
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), shown)


@register.filter
def at(handle: str) -> SafeString:
    """A handle, isolated from the direction of the text around it."""
    return format_html('<bdi class="handle" dir="ltr">@{}</bdi>', handle)


def _locale() -> str:
    return translation.get_language() or "en"
