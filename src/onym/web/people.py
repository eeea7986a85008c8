"""What is mine: holdings, sales, statement."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.queries import ground, ledger, names, people, watch
from onym.queries import sale as sales


def me(request: HttpRequest) -> HttpResponse:
    """My handles, my sales, my money."""
    who = people.signed_in(request)
    place = ground.under(request)
    accounts = [names.account(place, id_) for id_ in who.accounts]
    found = sales.sales(place.id, viewer=who.id, is_staff=False, after="", limit=50)
    told = {
        "accounts": [account for account in accounts if account],
        "sales": found["items"],
        "statement": ledger.statement(who.id),
        "alerts": watch.alerts(who.id),
    }
    return render(request, "me.html", told)
