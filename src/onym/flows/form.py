"""A form that a person sent: what was typed is read as their language writes it, and the deed is
done once, however often the form is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from django.http import HttpRequest

from onym.core.errors import Malformed, NotSignedIn, SecondFactorNeeded
from onym.core.money import MINOR_DIGITS, Money
from onym.flows import record

EASTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩٫", "0123456789.")
UNSAID = frozenset({"csrfmiddlewaretoken", "key"})
LEADS_ELSEWHERE = (NotSignedIn, SecondFactorNeeded)
"""Refusals that are answered by another page, which leads back to the form."""
SECRET = frozenset({"password", "code", "credential"})
KEPT = "kept_form"
MOST_KEPT = 100_000


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
        route=record.named(f"PAGE {path}")[:160],
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


def keep(request: HttpRequest) -> None:
    """Remember what was typed, in the sealed session, until its page is shown again."""
    if request.method == "POST":
        unsaid = UNSAID | SECRET
        said = {name: value for name, value in request.POST.dict().items() if name not in unsaid}
        if sum(map(len, said.values())) <= MOST_KEPT:
            request.session[KEPT] = {"path": request.path, "fields": said}


def typed(request: HttpRequest) -> Mapping[str, str]:
    """What this page's form was sent with: just now, or before its member was led elsewhere."""
    if request.method == "POST":
        return request.POST.dict()
    kept = request.session.get(KEPT)
    if not kept or kept["path"] != request.path:
        return {}
    del request.session[KEPT]
    found: dict[str, str] = kept["fields"]
    return found
