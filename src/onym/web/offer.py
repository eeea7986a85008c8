"""Offers: the thread for its two parties; the asked holder's link leads to `answer`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import NotFound, Refusal
from onym.flows import form
from onym.flows import offer as flow
from onym.queries import fees, ground, names, people
from onym.queries import offer as queries
from onym.web import answer


def offer(request: HttpRequest, token: str) -> HttpResponse:
    """By id for the parties, by the message's token for a holder who never signed in."""
    if not token.startswith("off_"):
        return answer.answer(request, token)
    refusal = None
    who = people.signed_in(request)
    view = queries.offer(token, viewer=who.id, now=ground.under(request).now)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, token, who)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
        view = queries.offer(token, viewer=who.id, now=ground.under(request).now)
    return _thread(request, view, side=queries.side(view, viewer=who.id), refusal=refusal)


def _thread(
    request: HttpRequest, view: dict[str, Any], *, side: str, refusal: Refusal | None
) -> HttpResponse:
    told: dict[str, Any] = {"offer": view, "side": side, "refusal": refusal}
    if view["state"] == "open":
        buyer = view["buyer"] if side == "buyer" else None  # whose country is theirs to know
        told |= _counter(request, view, refusal, buyer)
        told["sums"] = fees.sums(ground.under(request), price=view["price"], buyer=buyer)
    if view["state"] == "accepted":
        told["sale"] = queries.sale_of(view["id"])
    return render(request, "offer.html", told, status=refusal.status if refusal else 200)


def _counter(
    request: HttpRequest, view: dict[str, Any], refusal: Refusal | None, buyer: str | None
) -> dict[str, Any]:
    typed = (form.typed(request) or request.GET).get("price", "")
    return answer.other_price(request, view, refusal, typed=typed, buyer=buyer)


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
            price = answer.price_of(
                fields.get("price", ""), names.namespace(settings.NAMESPACE).currency
            )
            flow.counter(offer_id=id_, by=by, price=price)
    return f"/offers/{id_}"


def offers(request: HttpRequest) -> HttpResponse:
    """What the member has offered and been offered, by whose answer is awaited."""
    who = people.signed_in(request)
    found, sides = queries.by_side(ground.under(request), viewer=who.id)
    return render(request, "offers.html", {"offers": found, "sides": sides, "tab": "offers"})
