"""Selling a handle: choose it, name a price with help, see the sums to the cent, list it, undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as said

from onym.core import access
from onym.core import term as terms
from onym.core.errors import NotAllowed, NotFound, Refusal, StaffMayNot
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import form
from onym.flows import listing as flow
from onym.queries import appraisal, fees, ground, holding, names, payments, people, trend
from onym.queries import listing as queries
from onym.queries.ground import Ground
from onym.web.templatetags.market import plain

PICKS = {"low": said("Sell soon"), "mid": said("Most likely"), "high": said("Take your time")}


def choose(request: HttpRequest) -> HttpResponse:
    """Which of my handles; what cannot be sold now says why, and until when."""
    who, place = people.signed_in(request), ground.under(request)
    refusal = StaffMayNot() if who.is_staff else _waits(who, place)
    told = {
        "held": holding.holding(place, accounts=who.accounts),
        "refusal": refusal,
        "payout": payments.payout_place(who.id),
    }
    return render(request, "sell.html", told)


def _waits(who: people.Caller, place: Ground) -> Refusal | None:
    """Why the member may sell nothing at all now."""
    try:
        access.expect_phase(place.place.phase, access.Way.LISTING)
        holding.expect_settled_security(who.id, place=place)
    except Refusal as refusal:
        return refusal
    return None


def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """Price, sums and confirmation; the price stands in the address until it is confirmed."""
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, handle, who)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    return _handle(request, handle, who, refusal)


def _handle(
    request: HttpRequest, name: str, who: people.Caller, refusal: Refusal | None
) -> HttpResponse:
    place = ground.under(request)
    own = holding.holding(place, accounts=who.accounts)
    held = next((one for one in own if one.handle == name.casefold()), None)
    if held is None:
        raise NotAllowed("only its holder sells a handle")
    typed = (form.typed(request) or request.GET).get("price", "")
    term = _term(form.typed(request) or request.GET)
    sums, wrong = _sums(place, typed)
    help_ = _help(place, held)
    told = {
        "held": held,
        "picks": [(gettext(words), help_[name]) for name, words in PICKS.items()],
        "typed": typed,
        "term": term if place.place.whole_accounts else Term.HANDLE,
        "sums": sums,
        "wrong": wrong,
        "help": help_,
        "waits": held.refusal or _waits(who, place),
        "currency": place.place.currency,
        "refusal": refusal,
    }
    return render(request, "sell_handle.html", told, status=refusal.status if refusal else 200)


def _term(fields: Mapping[str, str]) -> Term:
    return terms.read(fields.get("term", Term.HANDLE))


def _sums(place: Ground, typed: str) -> tuple[fees.Sums | None, Refusal | None]:
    """The sums of what was typed, or what is wrong with it; neither before anything was."""
    if not typed.strip():
        return None, None
    try:
        return fees.sums(place, price=_price(typed, place.place.currency)), None
    except NotFound:
        raise
    except Refusal as wrong:
        return None, wrong


def _help(place: Ground, held: holding.Held) -> dict[str, Any]:
    """What the appraisal says, and what was paid for handles like it."""
    sold = trend.settled(place.id, handle=held.handle)
    found: dict[str, Any] = names.brief(place, held.seen)["appraisal"]
    return found | {"comparables": appraisal.comparables(held.handle, sold)}


def _price(typed: str, currency: str) -> Money:
    return form.amount(typed, currency=currency, language=get_language() or "en")


def _once(request: HttpRequest, name: str, who: people.Caller) -> str:
    fields = request.POST.dict()
    return form.once(
        member=who.id, path=request.path, fields=fields, run=lambda: _do(fields, name, who)
    )


def _do(fields: dict[str, str], name: str, who: people.Caller) -> str:
    place = settings.NAMESPACE
    if fields.get("do") == "list":
        people.expect_fresh_factor(who)
        price = _price(fields.get("price", ""), names.namespace(place).currency)
        made = flow.open_(
            namespace=place, handle=name, seller=who.id, price=price, term=_term(fields)
        )
        return f"/sell/{made.handle.handle}/listed"
    return f"/sell/{name}"


def listed(request: HttpRequest, handle: str) -> HttpResponse:
    """It is on sale: where, who may see it, and one press that takes it back."""
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_undo(request, handle, who)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = {
        "listing": queries.last_of(settings.NAMESPACE, handle=handle.casefold(), seller=who.id),
        "base": settings.BASE_URL,
        "refusal": refusal,
        "payout": payments.payout_place(who.id),
    }
    return render(request, "sell_listed.html", told, status=refusal.status if refusal else 200)


def _undo(request: HttpRequest, name: str, who: people.Caller) -> str:
    fields = request.POST.dict()

    def undo() -> str:
        taken = flow.withdraw(listing_id=fields.get("listing", ""), by=who.id)
        price = plain(Money(taken.price_minor, taken.currency))
        return f"/sell/{taken.handle.handle}?price={price}"

    if fields.get("do") != "undo":
        return f"/sell/{name}/listed"
    return form.once(member=who.id, path=request.path, fields=fields, run=undo)
