"""What is proposed to a second person, as a sentence in the reader's language.

The sentence is made of the same action, payload and facts that `shown` is the digest of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_noop as said

from onym.core.money import MINOR_DIGITS

Asked = Mapping[str, Any]


def summary(*, action: str, payload: Asked, facts: Asked) -> str:
    """One sentence; an action without one by its name."""
    write = SENTENCES.get(action)
    return write(payload, facts) if write else action


def _list(payload: Asked, _: Asked) -> str:
    return gettext("List the handle %(handle)s at %(price)s.") % _named(payload)


def _campaign(payload: Asked, _: Asked) -> str:
    count = payload.get("candidates", 0)
    words = ngettext(
        "Offer the handle %(handle)s at %(price)s to %(count)s candidate.",
        "Offer the handle %(handle)s at %(price)s to %(count)s candidates.",
        count,
    )
    return words % (_named(payload) | {"count": _number(count)})


def _house_purchase(payload: Asked, _: Asked) -> str:
    return gettext("The operator buys the handle %(handle)s at %(price)s.") % _named(payload)


def _edit_list(payload: Asked, _: Asked) -> str:
    names = {
        "reserved": gettext("Change the list of reserved handles."),
        "prohibited": gettext("Change the list of prohibited handles."),
        "protected": gettext("Change the list of protected handles."),
        "retired": gettext("Change the list of retired handles."),
    }
    parts: list[str] = [names.get(payload["list"]) or str(payload["list"])]
    if added := len(payload["add"]):
        words = ngettext("%(count)s handle is added.", "%(count)s handles are added.", added)
        parts.append(words % {"count": _number(added)})
    if removed := len(payload["remove"]):
        words = ngettext(
            "%(count)s handle is taken off.", "%(count)s handles are taken off.", removed
        )
        parts.append(words % {"count": _number(removed)})
    return " ".join(parts)


def _adopt_plan(payload: Asked, facts: Asked) -> str:
    count = facts.get("findings", 0)
    words = ngettext(
        "Take a sweep with %(count)s finding into use; its holder is warned from %(day)s on.",
        "Take a sweep with %(count)s findings into use; their holders are warned from %(day)s on.",
        count,
    )
    starts_at = datetime.fromisoformat(payload["starts_at"])
    return words % {
        "count": _number(count),
        "day": format_date(starts_at, "long", locale=_locale()),
    }


def _lift_stop(_: Asked, __: Asked) -> str:
    return gettext("Lift the release stop; what fell due meanwhile may be sold at once.")


def _lift_area(payload: Asked, _: Asked) -> str:
    sentence = AREAS[payload["area"]]
    return gettext(sentence)


AREAS = {
    "sales": said("Let sales go on; everybody gets the lost time back."),
    "payouts": said("Let payouts to sellers go on."),
    "reclaim": said("Let warnings of idle accounts go on; the release stop stays on."),
    "outreach": said("Let private offers be sent again."),
}


def _bank_money(payload: Asked, _: Asked) -> str:
    rest = {"amount": _amount(payload["rest"]), "sale": f"\u2066{payload['sale']}\u2069"}
    if payload["sale"]:
        return gettext("Money from the bank, %(amount)s, is for the sale %(sale)s.") % rest
    if payload.get("wallet"):
        rest["member"] = f"\u2066{payload['wallet']}\u2069"
        return (
            gettext("Money from the bank, %(amount)s, goes into the wallet of %(member)s.") % rest
        )
    return gettext("Money from the bank, %(amount)s, goes back to whom it came from.") % rest


def _bank_order(payload: Asked, facts: Asked) -> str:
    told = {"amount": _amount(payload["amount"]), "ends_in": f"\u2066…{facts['ends_in']}\u2069"}
    return (
        gettext("Send %(amount)s to the account %(ends_in)s; the bank's page says whose it is.")
        % told
    )


def _write_off(payload: Asked, _: Asked) -> str:
    left = {"amount": _amount(payload["left"])}
    return gettext("Give up %(amount)s that a bank took back: the house bears the loss.") % left


SENTENCES: Mapping[str, Callable[[Asked, Asked], str]] = {
    "list": _list,
    "campaign": _campaign,
    "house_purchase": _house_purchase,
    "edit_list": _edit_list,
    "adopt_plan": _adopt_plan,
    "lift_stop": _lift_stop,
    "lift_area": _lift_area,
    "bank_money": _bank_money,
    "bank_order": _bank_order,
    "write_off": _write_off,
}


def _named(payload: Asked) -> dict[str, str]:
    """Handle and price for a sentence; the handle is isolated from the text around it."""
    return {"handle": f"\u2066{payload['handle']}\u2069", "price": _amount(payload["price"])}


def _amount(money: Asked) -> str:
    whole = Decimal(int(money["minor"])).scaleb(-MINOR_DIGITS[money["currency"]])
    shown = str(format_currency(whole, money["currency"], locale=_locale()))
    return f"\u2066{shown}\u2069"


def _number(count: int) -> str:
    return str(format_decimal(count, locale=_locale()))


def _locale() -> str:
    return get_language() or "en"
