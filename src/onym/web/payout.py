"""Where my proceeds go: the account at the provider, what it still wants, and every payout."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym import ports
from onym.core.errors import NotFound, NotLinked, Refusal
from onym.flows import form
from onym.flows import payout as flow
from onym.queries import payments as queries
from onym.queries import people
from onym.web import page


def account(request: HttpRequest) -> HttpResponse:
    """How the account stands; one press has one made, a link leads to the provider's pages.

    Whoever leads money elsewhere has confirmed a second factor: `second_factor_needed`.
    """
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            people.expect_fresh_factor(who)
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, who.id)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = {
        "tab": "payout",
        "payout": queries.payout_place(who.id),
        "payouts": queries.payouts(who.id),
        "refusal": refusal,
    }
    return render(request, "me_payout.html", told, status=refusal.status if refusal else 200)


def _once(request: HttpRequest, by: str) -> str:
    fields = request.POST.dict()
    return form.once(member=by, path=request.path, fields=fields, run=lambda: _do(fields, by))


def _do(fields: dict[str, str], by: str) -> str:
    if fields.get("do") == "begin":
        flow.begin(member=by)
    return "/me/payout"


def onward(request: HttpRequest) -> HttpResponse:
    """To the provider's own pages, by a link that it makes for this visit alone.

    Refuses `second_factor_needed`, and `not_linked` to a member who has no account there.
    """
    who = people.signed_in(request)
    people.expect_fresh_factor(who)
    place = queries.payout_place(who.id)
    if place is None or not place.made:
        raise NotLinked("no payout account is linked to this member")
    here = f"{settings.BASE_URL}/{request.LANGUAGE_CODE}/me/payout"
    link = ports.payments(settings.NAMESPACE).account_link(
        account=place.account, return_url=f"{here}/returned", refresh_url=f"{here}/onward"
    )
    return HttpResponseRedirect(link)


def returned(request: HttpRequest) -> HttpResponse:
    """Back from the provider: how the account stands is asked for, then shown."""
    who = people.signed_in(request)
    before = queries.looked_at(who.id)
    flow.look(member=who.id)
    page.wait_while(lambda: bool(before) and queries.looked_at(who.id) == before)
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/me/payout")
