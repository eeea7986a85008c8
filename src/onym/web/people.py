"""Signing in and out, and what is mine: holdings, sales, statement."""

from __future__ import annotations

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language

from onym.core.errors import NotFound
from onym.flows import limits
from onym.flows import people as flow
from onym.queries import ground, ledger, names, people, watch
from onym.queries import sale as sales


def sign_in(request: HttpRequest) -> HttpResponse:
    """By mail address and password; a wrong one says no more than that it is wrong."""
    wrong = False
    if request.method == "POST":
        user = _user(request)
        if user is not None:
            auth.login(request, user)
            return HttpResponseRedirect(_next(request))
        wrong = True
    told = {
        "wrong": wrong,
        "next": request.POST.get("next", request.GET.get("next", "")),
        "typed": request.POST.get("mail", ""),
    }
    return render(request, "sign_in.html", told, status=403 if wrong else 200)


def _user(request: HttpRequest) -> auth.models.User | None:
    mail, password = request.POST.get("mail", "").strip(), request.POST.get("password", "")
    limits.spend("sign_in", who=mail)
    try:
        name = flow.by_mail(namespace=settings.NAMESPACE, mail=mail).id
    except NotFound:
        name = ""
    # An unknown address takes as long as a wrong password: the hash is computed all the same.
    return auth.authenticate(request, username=name, password=password)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if wanted and safe else f"/{get_language()}/me"


def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    if request.method == "POST":
        auth.logout(request)
    return HttpResponseRedirect(f"/{get_language()}/")


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
