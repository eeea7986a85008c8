"""Offers: the thread for its two parties, and the asked holder's page behind a link."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from onym.core.errors import NotFound, Refusal
from onym.flows import offer as flow
from onym.queries import names
from onym.queries import offer as queries
from onym.web.forms import amount
from onym.web.page import act, caller, page, show, signed_in


@page
def offer(request: HttpRequest, token: str) -> HttpResponse:
    """By id for the parties, by the message's token for a holder who never signed in."""
    if not token.startswith("off_"):
        return _by_token(request, token)
    refusal = None
    if request.method == "POST":
        try:
            return act(request, lambda who: _do(request, token, who.id))
        except NotFound:
            raise
        except Refusal as error:
            if error.status == 401:
                raise
            refusal = error
    who = signed_in(request)
    view = queries.offer(token, viewer=who.id)
    side = "buyer" if view["buyer"] == who.id else "seller"
    status = refusal.status if refusal else 200
    return show(request, "offer.html", status=status, offer=view, side=side, refusal=refusal)


def _do(request: HttpRequest, id_: str, by: str) -> str:
    match request.POST.get("do", ""):
        case "accept":
            return f"/sales/{flow.accept(offer_id=id_, by=by).id}"
        case "decline":
            flow.decline(offer_id=id_, by=by)
        case "withdraw":
            flow.withdraw(offer_id=id_, by=by)
        case "counter":
            currency = names.namespace(settings.NAMESPACE).currency
            price = amount(request.POST.get("price", ""), currency)
            flow.counter(offer_id=id_, by=by, price=price)
    return f"/offers/{id_}"


def _by_token(request: HttpRequest, token: str) -> HttpResponse:
    """The link declines; to accept or counter one signs in and links the account."""
    view = queries.by_token(token)
    who = caller(request)
    if who and view["holder"]["account_id"] in names.accounts_of(who.id):
        return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/offers/{view['id']}")  # type: ignore[attr-defined]  # set by page
    if request.method == "POST" and request.POST.get("do") == "decline":
        flow.decline_by_token(token=token)
        view = queries.by_token(token)
    return show(request, "offer.html", offer=view, side="link", refusal=None)


@page
def offers(request: HttpRequest) -> HttpResponse:
    """What the member has offered and been offered."""
    who = signed_in(request)
    found = queries.offers(settings.NAMESPACE, viewer=who.id, after="", limit=100)
    return show(request, "offers.html", offers=found["items"])
