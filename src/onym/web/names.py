"""Home, search, and the page of a handle with everything one may do to it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Refusal
from onym.core.money import Money
from onym.flows import form, listing, offer
from onym.flows import reclaim as reclaims
from onym.queries import listing as listings
from onym.queries import names, people, plan, reclaim

SHOWN = 24


def home(request: HttpRequest) -> HttpResponse:
    """What is on sale now, and what is announced to be freed."""
    place = settings.NAMESPACE
    told = {
        "listings": listings.listings(place, state="open", after="", limit=SHOWN)["items"],
        "sold": listings.listings(place, state="sold", after="", limit=6)["items"],
        "countdown": plan.countdown(namespace=place),
    }
    return render(request, "home.html", told)


def search(request: HttpRequest) -> HttpResponse:
    """Handles by prefix, exactly or nearly; facets narrow what is on sale."""
    asked = {key: request.GET.get(key, "") for key in ("q", "match", "tier", "sale", "after")}
    asked["q"] = asked["q"].strip().lstrip("@").replace("\0", "")[:100]
    asked["after"] = asked["after"].replace("\0", "")
    match = asked["match"] if asked["match"] in ("prefix", "exact", "fuzzy") else "prefix"
    found = names.search(
        settings.NAMESPACE,
        q=asked["q"],
        match=match,
        tier=asked["tier"],
        sale=asked["sale"],
        after=asked["after"],
        limit=SHOWN,
    )
    return render(request, "search.html", {"asked": asked, "match": match, "found": found})


def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """State in a sentence, tier and why, appraisal with factors, tenures, and the actions."""
    refusal = None
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, handle)}")
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    return _handle(request, handle, refusal)


def _handle(request: HttpRequest, name: str, refusal: Refusal | None) -> HttpResponse:
    place = settings.NAMESPACE
    view = names.handle(place, name)
    who = people.asking(request)
    accounts = names.accounts_of(who.id) if who else ()
    holder = view["holder"]["account_id"] if view["holder"] else None
    told = {
        "handle": view,
        "freed": reclaim.answer(namespace=place, handle=name),
        "account": names.account(place, holder) if holder else None,
        "is_mine": holder in accounts,
        "refusal": refusal,
        "typed": form.typed(request),
    }
    return render(request, "handle.html", told, status=refusal.status if refusal else 200)


def _once(request: HttpRequest, name: str) -> str:
    """The form that was sent: an offer, a listing, a purchase, a minimum offer, a keep."""
    who = people.signed_in(request)
    fields = request.POST.dict()
    return form.once(
        member=who.id,
        path=request.path,
        fields=fields,
        run=lambda: _do(fields, name, who),
    )


def _do(fields: dict[str, str], name: str, who: people.Caller) -> str:
    place, by = settings.NAMESPACE, who.id
    match fields.get("do", ""):
        case "offer":
            made = offer.make(namespace=place, handle=name, buyer=by, price=_price(fields))
            return f"/offers/{made.id}"
        case "list":
            people.expect_fresh_factor(who)
            listing.open_(namespace=place, handle=name, seller=by, price=_price(fields))
        case "buy":
            return f"/sales/{listing.buy(listing_id=fields.get('listing', ''), buyer=by).id}"
        case "withdraw":
            listing.withdraw(listing_id=fields.get("listing", ""), by=by)
        case "minimum":
            minimum = _price(fields) if fields.get("price", "").strip() else None
            offer.set_minimum(namespace=place, handle=name, by=by, minimum=minimum)
        case "keep":
            reclaims.keep(namespace=place, handle=name, by=by)
    return f"/@{name}"


def _price(fields: dict[str, str]) -> Money:
    currency = names.namespace(settings.NAMESPACE).currency
    language = get_language() or "en"
    return form.amount(fields.get("price", ""), currency=currency, language=language)
