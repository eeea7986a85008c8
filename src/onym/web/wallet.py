"""The page of a member's wallet: balance, what is held, what moved, putting in, taking out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.checkout import METHOD as CHECKOUT
from onym.core.errors import Malformed, NotFound, Refusal
from onym.core.money import Money
from onym.flows import deposit, form
from onym.flows import wallet as flow
from onym.queries import bank, ground, people
from onym.queries import checkout as checkouts
from onym.queries import wallet as queries
from onym.queries.ground import Ground
from onym.queries.people import Caller
from onym.web import page

LINES = 50
LATEST = 10
OPEN = ("pending", "unknown", "action")


def wallet(request: HttpRequest) -> HttpResponse:
    """`do` is deposit, checkout, transfer, payout, stop, otherwise or proceeds; what takes money
    out, or changes where it goes, needs a fresh second factor.
    """
    refusal = None
    who, looked = people.signed_in(request), ground.under(request)
    flow.expect_there(namespace=looked.id, member=who.id)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, who, looked)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = _told(request, who, looked) | {"refusal": refusal}
    answer = render(request, "wallet.html", told, status=refusal.status if refusal else 200)
    return page.may_lead_on(request, answer)


def _told(request: HttpRequest, who: Caller, looked: Ground) -> dict[str, Any]:
    put = queries.deposits(who.id, after="", limit=LATEST)["items"]
    lines = queries.history(who.id, after=request.GET.get("after", ""), limit=LINES)
    places = queries.places(who.id)
    return {
        "tab": "wallet",
        "wallet": queries.balances(looked, who.id, takes=places["takes"]),
        "places": places,
        "entries": lines["items"],
        "earlier": lines["next"],
        "coming": [one for one in put if one["state"] in OPEN],
        "failed": next((one for one in put[:1] if one["state"] in ("declined", "cancelled")), None),
        "payouts": queries.payouts(who.id, after="", limit=LATEST)["items"],
        "checkout": checkouts.offered(),
        "methods": checkouts.methods_offered(),
        "transfers": bank.offered(looked.id),
        "transfer": bank.into_wallet(who.id) if bank.offered(looked.id) else None,
        "is_on": flow.is_on(looked.id),
        "currency": looked.place.currency,
        "typed": form.typed(request),
    }


def _once(request: HttpRequest, who: Caller, looked: Ground) -> str:
    fields = request.POST.dict()
    if fields.get("do") in ("payout", "proceeds"):
        people.expect_fresh_factor(who)
    return form.once(
        member=who.id,
        path=request.path,
        fields=fields,
        run=lambda: _do(fields, who.id, looked.place.currency),
    )


def _do(fields: dict[str, str], by: str, currency: str) -> str:
    match fields.get("do", ""):
        case "deposit":
            method = fields.get("payment_method", "")
            deposit.begin(member=by, amount=_amount(fields, currency), method=method)
        case "checkout":
            made = deposit.begin(member=by, amount=_amount(fields, currency), method=CHECKOUT)
            return f"/wallet/deposits/{made.id}/onward"
        case "transfer":
            deposit.by_transfer(member=by)
        case "otherwise":
            deposit.give_up(deposit_id=fields.get("about", ""), by=by)
        case "payout":
            flow.pay_out(member=by, amount=_amount(fields, currency))
        case "stop":
            flow.stop(payout_id=fields.get("about", ""), by=by)
        case "proceeds":
            flow.choose(member=by, takes_proceeds=fields.get("to") == "wallet")
        case _:
            raise Malformed("put in, take out, or choose where proceeds go")
    return "/wallet"


def _amount(fields: dict[str, str], currency: str) -> Money:
    language = get_language() or "en"
    return form.amount(fields.get("amount", ""), currency=currency, language=language)


def onward(request: HttpRequest, id: str) -> HttpResponse:
    """On to the provider's page once there is one, if the browser lets our form lead there."""
    who = people.signed_in(request)
    queries.deposit(id, member=who.id)
    page.wait_while(lambda: queries.is_asked_for(id, member=who.id))
    url = checkouts.address_of_deposit(id, member=who.id)
    return page.led_on(request, url, otherwise="/wallet")


def returned(request: HttpRequest) -> HttpResponse:
    """Back from bank or provider: what became of deposits that waited is asked, then shown."""
    who = people.signed_in(request)
    deposit.look_again(by=who.id)
    page.wait_while(lambda: queries.waits_for_word(who.id))
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/wallet")


def back(request: HttpRequest) -> HttpResponse:
    """The address that the bank leads to knows no language: the member's own is taken."""
    return page.led_to(request, "/wallet/returned")


def left(request: HttpRequest) -> HttpResponse:
    """Back from the provider's page without having paid; it stays open for another try."""
    return page.led_to(request, "/wallet")
