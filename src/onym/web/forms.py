"""Reading what people type."""

from __future__ import annotations

import re

from django.utils.translation import get_language

from onym.core.errors import Malformed
from onym.core.money import MINOR_DIGITS, Money

EASTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩٫", "0123456789.")


def amount(typed: str, currency: str) -> Money:
    """An amount in whole units, as the page's language writes numbers; 1,250.00 or 1 250,00.

    Refuses `malformed` (also too many decimals, which may be meant otherwise), `amount_too_small`,
    `amount_too_large`.
    """
    text = re.sub(r"[\s\u00a0\u202f'٬]", "", typed.translate(EASTERN))
    if get_language() == "en":
        text = re.sub(r",(?=\d{3}(\D|$))", "", text)
    found = re.fullmatch(r"(\d+)(?:[.,](\d+))?", text)
    digits = MINOR_DIGITS[currency]
    if not found or len(found.group(2) or "") > digits:
        raise Malformed("write the price as a number, for example 1250.00")
    return Money.positive(int(found.group(1) + (found.group(2) or "").ljust(digits, "0")), currency)
