"""Home, search, and the page of a handle with everything one may do to it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.errors import Refusal
from onym.core.money import Money
from onym.flows import listing, offer
from onym.queries import listing as listings
from onym.queries import names, plan, reclaim
from onym.web.forms import amount
from onym.web.page import act, caller, page, show

SHOWN = 24


@page
def home(request: HttpRequest) -> HttpResponse:
    """What is on sale now, and what is announced to be freed."""
    place = settings.NAMESPACE
    return show(
        request,
        "home.html",
        listings=listings.listings(place, state="open", after="", limit=SHOWN)["items"],
        sold=listings.listings(place, state="sold", after="", limit=6)["items"],
        countdown=plan.countdown(namespace=place),
    )


@page
def search(request: HttpRequest) -> HttpResponse:
    """Handles by prefix, exactly or nearly; facets narrow what is on sale."""
    asked = {key: request.GET.get(key, "") for key in ("q", "match", "tier", "sale", "after")}
    asked["q"] = asked["q"].strip().lstrip("@")[:100]
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
    return show(request, "search.html", asked=asked, match=match, found=found)


@page
def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """State in a sentence, tier and why, appraisal with factors, tenures, and the actions."""
    if request.method == "POST":
        return _do(request, handle)
    return _handle(request, handle)


def _handle(request: HttpRequest, name: str, refusal: Refusal | None = None) -> HttpResponse:
    place = settings.NAMESPACE
    view = names.handle(place, name)
    who = caller(request)
    accounts = names.accounts_of(who.id) if who else ()
    holder = view["holder"]["account_id"] if view["holder"] else None
    return show(
        request,
        "handle.html",
        status=refusal.status if refusal else 200,
        handle=view,
        freed=reclaim.answer(namespace=place, handle=name),
        account=names.account(place, holder) if holder else None,
        is_mine=holder in accounts,
        refusal=refusal,
        typed=request.POST,
    )


def _do(request: HttpRequest, name: str) -> HttpResponse:
    """The form that was sent: an offer, a listing, a purchase, a minimum offer."""
    place, what = settings.NAMESPACE, request.POST.get("do", "")
    currency = names.namespace(place).currency
    try:
        if what == "offer":
            price = amount(request.POST.get("price", ""), currency)
            return act(
                request,
                lambda who: (
                    "/offers/"
                    + offer.make(namespace=place, handle=name, buyer=who.id, price=price).id
                ),
            )
        if what == "list":
            price = amount(request.POST.get("price", ""), currency)
            return act(request, lambda who: _list(place, name, who.id, price))
        if what == "buy":
            found = request.POST.get("listing", "")
            return act(
                request,
                lambda who: "/sales/" + listing.buy(listing_id=found, buyer=who.id).id,
            )
        if what == "withdraw":
            found = request.POST.get("listing", "")
            return act(
                request,
                lambda who: f"/@{listing.withdraw(listing_id=found, by=who.id).handle.handle}",
            )
    except Refusal as refusal:
        if refusal.status == 401:
            raise
        return _handle(request, name, refusal)
    return _handle(request, name)


def _list(place: str, name: str, seller: str, price: Money) -> str:
    listing.open_(namespace=place, handle=name, seller=seller, price=price)
    return f"/@{name}"
