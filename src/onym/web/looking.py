"""What a person asked of the search form, read forgivingly: a field that cannot be read narrows
nothing, keeps what was typed, and says beside itself what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import get_language, gettext

from onym.core.errors import Refusal
from onym.flows import form
from onym.queries import search
from onym.queries.search import Wish

FIELDS = ("q", "match", "tier", "sale", "sort", "min_length", "max_length", "max_price")
CHOICES = {"tier": search.TIERS, "sale": search.SALES, "sort": search.SORTS}


@dataclass(frozen=True, slots=True)
class Asked:
    """`typed` by field as it stands in the form, `errors` by field in words, and the wish."""

    typed: dict[str, str]
    errors: dict[str, str]
    wish: Wish


def read(fields: Mapping[str, str], *, currency: str) -> Asked:
    """`max_price` is in whole units, as the page's language writes numbers."""
    typed = {name: fields.get(name, "").replace("\0", "").strip()[:100] for name in FIELDS}
    typed["q"] = typed["q"].lstrip("@")
    errors: dict[str, str] = {}
    chosen = {name: typed[name] for name, known in CHOICES.items() if typed[name] in known}
    wish = Wish(
        q=typed["q"],
        match=typed["match"] if typed["match"] in search.MATCHES else "prefix",
        min_length=_length("min_length", typed, errors),
        max_length=_length("max_length", typed, errors),
        max_price_minor=_price(typed, errors, currency),
        **chosen,
    )
    if wish.max_length and wish.min_length > wish.max_length:
        errors["max_length"] = gettext("This is below the least length.")
    return Asked(typed, errors, wish)


def _length(name: str, typed: Mapping[str, str], errors: dict[str, str]) -> int:
    text = typed[name].translate(form.EASTERN)
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) < 3:
        return int(text)
    errors[name] = gettext("Write a length as a number from 1 to 99.")
    return 0


def _price(typed: Mapping[str, str], errors: dict[str, str], currency: str) -> int:
    if not typed["max_price"]:
        return 0
    try:
        language = get_language() or "en"
        return form.amount(typed["max_price"], currency=currency, language=language).minor
    except Refusal:
        errors["max_price"] = gettext("Write the price as a number, for example 1250.")
        return 0
