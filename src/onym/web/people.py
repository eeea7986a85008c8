"""What is mine: holdings, sales, statement."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.queries import ledger, names, people
from onym.queries import sale as sales


def me(request: HttpRequest) -> HttpResponse:
    """My handles, my sales, my money."""
    who = people.signed_in(request)
    place = settings.NAMESPACE
    accounts = [names.account(place, id_) for id_ in names.accounts_of(who.id)]
    found = sales.sales(place, viewer=who.id, is_staff=False, after="", limit=50)
    told = {
        "accounts": [account for account in accounts if account],
        "sales": found["items"],
        "statement": ledger.statement(who.id),
    }
    return render(request, "me.html", told)
