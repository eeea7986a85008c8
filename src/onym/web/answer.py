"""The asked holder's page behind an offer's link: decline, or agree with a proof of the account."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.answer import Kind, Way
from onym.core.errors import AlreadyClosed, Malformed, Refusal
from onym.core.money import Money
from onym.flows import answer as flow
from onym.flows import form, openid
from onym.flows import offer as offers
from onym.queries import answer as queries
from onym.queries import fees, ground, people
from onym.queries import offer as known

BEGUN = "answers"
"""In the session: offer id → the answer that this browser has begun."""


def answer(request: HttpRequest, token: str) -> HttpResponse:
    """Looking changes nothing. Declining takes the link alone, an answer a proof beside it."""
    view = known.by_token(token, now=ground.under(request).now)
    who = people.asking(request)
    if who and view["holder"]["account_id"] in who.accounts:
        return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/offers/{view['id']}")
    begun = _in_browser(request, view)
    if request.GET.get("by") == "platform" and begun:
        return HttpResponseRedirect(openid.begin(request, to=request.path, answer=begun))
    told: dict[str, Any] = {}
    if request.method == "POST":
        try:
            to = _do(request, token, view)
        except Refusal as error:
            told, to = {"refusal": error}, ""
        if to:
            return HttpResponseRedirect(to)
        told = told or {"not_yet": True}
        view = known.by_token(token, now=ground.under(request).now)
    return _shown(request, token, view, told)


def _do(request: HttpRequest, token: str, view: dict[str, Any]) -> str:
    """Where to go on; nowhere while the code is not in the profile yet."""
    match request.POST.get("do", ""):
        case "decline":
            offers.decline_by_token(token=token)
        case "accept":
            price = Money(_minor(request.POST.get("minor", "")), view["price"].currency)
            _begin(request, token, view, Kind.ACCEPT, price)
        case "counter":
            price = price_of(request.POST.get("price", ""), view["price"].currency)
            _begin(request, token, view, Kind.COUNTER, price)
        case "forget":
            flow.forget(answer_id=_begun(request, view))
        case "prove":
            return request.path if flow.prove(answer_id=_begun(request, view)) else ""
        case _:
            raise Malformed("accept, name a price, or decline")
    return request.path


def _begin(
    request: HttpRequest, token: str, view: dict[str, Any], kind: Kind, price: Money
) -> None:
    name = request.POST.get("name", "")
    made = flow.order(token=token, kind=kind, price=price, name=name)
    begun = request.session.get(BEGUN, {})
    request.session[BEGUN] = begun | {view["id"]: made.id}


def _in_browser(request: HttpRequest, view: dict[str, Any]) -> str:
    begun: str = request.session.get(BEGUN, {}).get(view["id"], "")
    return begun


def _begun(request: HttpRequest, view: dict[str, Any]) -> str:
    """The answer that the form is about: this browser's last one, as shown by this very page."""
    begun = _in_browser(request, view)
    if not begun or begun != request.POST.get("answer", ""):
        raise AlreadyClosed("another answer was begun since this page was shown")
    return begun


def _minor(typed: str) -> int:
    if not (typed.isascii() and typed.isdigit() and len(typed) < 20):
        raise Malformed("open the page again and send its form")
    return int(typed)


def price_of(typed: str, currency: str) -> Money:
    return form.amount(typed, currency=currency, language=get_language() or "en")


def _shown(
    request: HttpRequest, token: str, view: dict[str, Any], told: dict[str, Any]
) -> HttpResponse:
    refusal = told.get("refusal")
    told |= {"offer": view, "side": "link"}
    if view["state"] == "open":
        told["sums"] = fees.sums(ground.under(request), price=view["price"])
        told["way"] = flow.way(token=token)
        if told["way"] is Way.HERE and view["turn"] == "seller":
            told |= _answering(request, view, refusal)
            told |= {"needs_name": flow.needs_name(token=token)}
            told |= {"typed_name": request.POST.get("name", "")}
    if view["state"] == "accepted":
        told["sale"] = known.sale_of(view["id"])
    return render(request, "offer.html", told, status=refusal.status if refusal else 200)


def _answering(
    request: HttpRequest, view: dict[str, Any], refusal: Refusal | None
) -> dict[str, Any]:
    """What this browser has begun, or the other price that somebody is about to name."""
    begun = _in_browser(request, view)
    if begun and (waiting := queries.waiting(begun)):
        return {"waiting": waiting, "by_platform": openid.offered()}
    typed = request.POST.get("price", request.GET.get("price", ""))
    return other_price(request, view, refusal, typed=typed)


def other_price(
    request: HttpRequest,
    view: dict[str, Any],
    refusal: Refusal | None,
    *,
    typed: str,
    buyer: str | None = None,
) -> dict[str, Any]:
    """The other price that somebody is about to name: as typed, its sums, or what is wrong."""
    if refusal and request.POST.get("do") == "counter":
        return {"typed": typed, "wrong": refusal}
    if not typed.strip():
        return {"typed": typed}
    try:
        price = price_of(typed, view["price"].currency)
        other = fees.sums(ground.under(request), price=price, buyer=buyer)
        return {"typed": typed, "other": other}
    except Refusal as wrong:
        return {"typed": typed, "wrong": wrong}
