"""Home, search, and the page of a handle with everything one may do to it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Refusal
from onym.core.handle import State
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import form, listing, offer
from onym.flows import reclaim as reclaims
from onym.queries import fees, ground, names, people, plan, trend
from onym.queries import listing as listings
from onym.queries import search as queries
from onym.queries.handle import leads, page
from onym.web import looking

SHOWN = 24


def home(request: HttpRequest) -> HttpResponse:
    """What is on sale now, and what is announced to be freed."""
    place = ground.under(request)
    told = {
        "listings": listings.listings(place.id, state="open", after="", limit=SHOWN)["items"],
        "sold": trend.recently_sold(place),
        "ending": trend.ending_soon(place),
        "countdown": plan.countdown(namespace=place),
    }
    return render(request, "home.html", told)


def search(request: HttpRequest) -> HttpResponse:
    """Handles by prefix, exactly or nearly; facets narrow what is on sale."""
    place = ground.under(request)
    asked = looking.read(request.GET, currency=place.place.currency)
    after = request.GET.get("after", "").replace("\0", "")
    told = {
        "asked": asked.typed | {"after": after},
        "match": asked.wish.match,
        "errors": asked.errors,
        "found": queries.search(place, asked.wish, after=after, limit=SHOWN),
        "facets": queries.facets(place, asked.wish),
    }
    return render(request, "search.html", told)


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
    who = people.asking(request)
    told: dict[str, Any] = page(ground.under(request), name, viewer=who.id if who else None)
    leads_to, stays = told["handle"]["redirect_to"], "stay" in request.GET
    if leads_to and refusal is None and not stays:
        led = HttpResponseRedirect(f"/{get_language()}/@{leads_to}?from={told['handle']['handle']}")
        led["Cache-Control"] = "no-cache"  # it ends, and it may lead elsewhere before
        return led
    holder = told["handle"]["holder"]
    told |= {
        "prices": [(sold["at"], sold["price"]) for sold in reversed(told["history"])],
        "sells_idle": told["handle"]["state"] == State.RELEASED,
        "is_mine": bool(who and holder and holder["account_id"] in who.accounts),
        "led_from": _led_from(request, told["handle"]["handle"]),
        "refusal": refusal,
        "typed": form.typed(request),
        "sums": _sums(request, told["handle"], who),
    }
    return render(request, "handle.html", told, status=refusal.status if refusal else 200)


def _sums(request: HttpRequest, shown: dict[str, Any], who: people.Caller | None) -> Any:
    """What buying it at its listing's price would cost whoever looks."""
    price = (shown["sale"] or {}).get("price")
    if price is None:
        return None
    place, buyer = ground.under(request), who.id if who else None
    return fees.of_handle(place, shown, price=price, buyer=buyer)


def _led_from(request: HttpRequest, to: str) -> str:
    """The retained handle that led here; nothing if the address names one that does not."""
    old = request.GET.get("from", "")[:100].lower()
    return old if old and leads(ground.under(request), old, to=to) else ""


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
            whole = fields.get("term") == Term.ACCOUNT
            made = offer.make(
                namespace=place,
                handle=name,
                buyer=by,
                price=_price(fields),
                term=Term.ACCOUNT if whole else Term.HANDLE,
                consents=whole,
            )
            return f"/offers/{made.id}"
        case "list":
            people.expect_fresh_factor(who)
            listing.open_(namespace=place, handle=name, seller=by, price=_price(fields))
        case "buy":
            bought = listing.buy(
                listing_id=fields.get("listing", ""), buyer=by, consents="consent" in fields
            )
            return f"/sales/{bought.id}"
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
