"""My market: what needs me, what I hold, buy and sell, and my money."""

from __future__ import annotations

import re
from typing import Any

from babel.core import Locale
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Refusal
from onym.core.handle import State
from onym.flows import form, screening
from onym.flows import people as flow
from onym.flows import share as shares
from onym.queries import (
    bank,
    ground,
    holding,
    invoice,
    ledger,
    offer,
    payments,
    people,
    share,
    watch,
)
from onym.queries import sale as sales

ASKED = (State.WARNED, State.RESTING, State.RELEASED)
NEEDS_BUYER = ("funding", "inspection")
MONTH = re.compile(r"\d{4}-\d{2}")


def overview(request: HttpRequest) -> HttpResponse:
    """What waits for the member, most urgent first, then where everything stands."""
    who, place = people.signed_in(request), ground.under(request)
    own = holding.holding(place, accounts=who.accounts)
    sides = sales.of_member(place.id, member=who.id)
    told: dict[str, Any] = {
        "tab": "overview",
        "held": own,
        "asked": [one for one in own if one.state in ASKED],
        "turns": offer.awaiting(place, viewer=who.id, accounts=who.accounts),
        "to_do": [one for one in sides["bought"] if one["state"] in NEEDS_BUYER],
        "cooling": [one for one in sides["sold"] if one["state"] == "cooling"],
        "live": [one for one in (*sides["bought"], *sides["sold"]) if one["is_live"]],
        "unpaid": ledger.unpaid(who.id),
        "nameless": not (who.is_named or who.is_staff) and screening.is_asked(who.namespace),
    }
    needs = ("asked", "turns", "to_do", "cooling", "unpaid", "nameless")
    told["quiet"] = not any(told[name] for name in needs)
    return render(request, "me.html", told)


def claim(request: HttpRequest, sale: str) -> HttpResponse:
    """The share of a sale that the member's account lost its handle to."""
    who = people.signed_in(request)
    if request.method == "POST":
        fields = request.POST.dict()

        def run() -> str:
            shares.claim(sale_id=sale, by=who.id)
            return "/me/statement"

        form.once(member=who.id, path=request.path, fields=fields, run=run)
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/me/statement")


def held(request: HttpRequest) -> HttpResponse:
    """Every handle of mine: how it stands, what keeps it from being sold, what I may do."""
    who = people.signed_in(request)
    own = holding.holding(ground.under(request), accounts=who.accounts)
    return render(request, "me_holding.html", {"tab": "holding", "held": own, "asked": ASKED})


def buying(request: HttpRequest) -> HttpResponse:
    """What I bought or am buying."""
    return _sales(request, "buying", "bought")


def selling(request: HttpRequest) -> HttpResponse:
    """What I sold or am selling, and where the proceeds go to."""
    return _sales(request, "selling", "sold")


def _sales(request: HttpRequest, tab: str, side: str) -> HttpResponse:
    who, place = people.signed_in(request), ground.under(request)
    found = sales.of_member(place.id, member=who.id)[side]
    told: dict[str, Any] = {
        "tab": tab,
        "live": [one for one in found if one["is_live"]],
        "ended": [one for one in found if not one["is_live"]],
    }
    if tab == "selling":
        own = holding.holding(place, accounts=who.accounts)
        told["listed"] = [one for one in own if one.sale and "price" in one.sale]
        told["payout"] = payments.payout_place(who.id)
    return render(request, f"me_{tab}.html", told)


def alerts(request: HttpRequest) -> HttpResponse:
    """What I watch, and what has happened to it."""
    who = people.signed_in(request)
    told = {"tab": "alerts", "alerts": watch.alerts(who.id)}
    return render(request, "me_alerts.html", told)


def statement(request: HttpRequest) -> HttpResponse:
    """Balances, and every line with the balance after it; a month at a time if asked for."""
    who = people.signed_in(request)
    asked = request.GET.get("month", "")
    month = asked if MONTH.fullmatch(asked) else ""
    told = {
        "tab": "statement",
        "statement": ledger.statement(who.id, month=month),
        "month": month,
        "invoices": invoice.of_member(who.id),
        "shares": share.waiting(ground.under(request), member=who.id),
        "payout": payments.payout_place(who.id),
    }
    return render(request, "me_statement.html", told)


def settings_(request: HttpRequest) -> HttpResponse:
    """Language, addresses, linked accounts, payout account, country."""
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_keep_country(request, who.id)}")
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    told = {
        "tab": "settings",
        "refusal": refusal,
        **people.money(ground.under(request), who.id),
        "countries": _countries(),
        "chosen": who.language,
        "addresses": people.addresses(who.id),
        "held": holding.holding(ground.under(request), accounts=who.accounts),
        "payout": payments.payout_place(who.id),
        "transfers": bank.offered(ground.under(request).id),
    }
    status = refusal.status if refusal else 200
    return render(request, "me_settings.html", told, status=status)


def _keep_country(request: HttpRequest, by: str) -> str:
    fields = request.POST.dict()

    def keep() -> str:
        flow.set_country(member=by, country=fields.get("country", ""))
        return "/me/settings"

    return form.once(member=by, path=request.path, fields=fields, run=keep)


def _countries() -> list[tuple[str, str]]:
    """Codes with their names, in the order of the names."""
    names = Locale.parse(get_language() or "en").territories
    listed = [
        (code, str(name)) for code, name in names.items() if code.isalpha() and len(code) == 2
    ]
    return sorted(listed, key=lambda pair: pair[1])
