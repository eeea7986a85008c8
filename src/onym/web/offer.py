"""Offers: the thread for its two parties, and the asked holder's page behind a link."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import NotFound, Refusal
from onym.flows import form
from onym.flows import offer as flow
from onym.queries import names, people
from onym.queries import offer as queries


def offer(request: HttpRequest, token: str) -> HttpResponse:
    """By id for the parties, by the message's token for a holder who never signed in."""
    if not token.startswith("off_"):
        return _by_token(request, token)
    refusal = None
    who = people.signed_in(request)
    view = queries.offer(token, viewer=who.id)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, token, who)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
        view = queries.offer(token, viewer=who.id)
    side = "buyer" if view["buyer"] == who.id else "seller"
    told = {"offer": view, "side": side, "refusal": refusal, "typed": form.typed(request)}
    return render(request, "offer.html", told, status=refusal.status if refusal else 200)


def _once(request: HttpRequest, id_: str, who: people.Caller) -> str:
    fields = request.POST.dict()
    return form.once(
        member=who.id, path=request.path, fields=fields, run=lambda: _do(fields, id_, who)
    )


def _do(fields: dict[str, str], id_: str, who: people.Caller) -> str:
    by = who.id
    match fields.get("do", ""):
        case "accept":
            people.expect_fresh_factor(who)
            return f"/sales/{flow.accept(offer_id=id_, by=by).id}"
        case "decline":
            flow.decline(offer_id=id_, by=by)
        case "withdraw":
            flow.withdraw(offer_id=id_, by=by)
        case "counter":
            if queries.offer(id_, viewer=by)["buyer"] != by:
                people.expect_fresh_factor(who)
            currency = names.namespace(settings.NAMESPACE).currency
            language = get_language() or "en"
            price = form.amount(fields.get("price", ""), currency=currency, language=language)
            flow.counter(offer_id=id_, by=by, price=price)
    return f"/offers/{id_}"


def _by_token(request: HttpRequest, token: str) -> HttpResponse:
    """The link declines; to accept or counter one signs in and links the account."""
    view = queries.by_token(token)
    who = people.asking(request)
    if who and view["holder"]["account_id"] in who.accounts:
        return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/offers/{view['id']}")
    refusal = None
    if request.method == "POST" and request.POST.get("do") == "decline":
        try:
            flow.decline_by_token(token=token)
            return HttpResponseRedirect(request.path)
        except Refusal as error:
            refusal = error
            view = queries.by_token(token)
    told = {"offer": view, "side": "link", "refusal": refusal}
    return render(request, "offer.html", told, status=refusal.status if refusal else 200)


def offers(request: HttpRequest) -> HttpResponse:
    """What the member has offered and been offered."""
    who = people.signed_in(request)
    found = queries.offers(settings.NAMESPACE, viewer=who.id, after="", limit=100)
    return render(request, "offers.html", {"offers": found["items"]})
