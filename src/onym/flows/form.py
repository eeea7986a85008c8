"""A form that a person sent: what was typed is read as their language writes it, and the deed is
done once, however often the form is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from onym.core.errors import Malformed
from onym.core.money import MINOR_DIGITS, Money
from onym.flows import record

EASTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩٫", "0123456789.")
UNSAID = frozenset({"csrfmiddlewaretoken", "key"})


def once(*, member: str, path: str, fields: Mapping[str, str], run: Callable[[], str]) -> str:
    """The address to go to after `run`; a form sent again leads to the same one, its deed done.

    `fields["key"]` names the form for ever. Refuses `malformed` without one, and whatever `run`
    refuses; a refusal is given again word for word.
    """
    key = fields.get("key", "")
    if not 8 <= len(key) <= 200:
        raise Malformed("open the page again and send its form")
    answer = record.once(
        member=member,
        route=f"PAGE {path}"[:160],
        key=key,
        payload={name: value for name, value in fields.items() if name not in UNSAID},
        run=lambda: record.Answer(303, {"to": run()}),
    )
    return str(answer.body["to"])


def amount(typed: str, *, currency: str, language: str) -> Money:
    """An amount in whole units, as the page's language writes numbers; 1,250.00 or 1 250,00.

    Refuses `malformed` (also too many decimals, which may be meant otherwise), `amount_too_small`,
    `amount_too_large`.
    """
    text = re.sub(r"[\s\u00a0\u202f'٬]", "", typed.translate(EASTERN))
    if language == "en":
        text = re.sub(r",(?=\d{3}(\D|$))", "", text)
    found = re.fullmatch(r"([0-9]+)(?:[.,]([0-9]+))?", text)
    digits = MINOR_DIGITS[currency]
    if not found or len(found.group(2) or "") > digits:
        raise Malformed("write the price as a number, for example 1250.00")
    return Money.positive(int(found.group(1) + (found.group(2) or "").ljust(digits, "0")), currency)
