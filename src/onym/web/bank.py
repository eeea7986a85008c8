"""My bank account: where proceeds are sent to by transfer instead of through the provider."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import NotFound, Refusal
from onym.flows import form, outgoing
from onym.queries import bank as queries
from onym.queries import people
from onym.queries.people import Caller


def account(request: HttpRequest) -> HttpResponse:
    """Its last letters; a new one needs a fresh second factor, as whatever sells does."""
    refusal = None
    who = people.signed_in(request)
    if not queries.offered(settings.NAMESPACE):
        raise NotFound("this market pays nobody by bank transfer")
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, who)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = {
        "tab": "settings",
        "ends_in": queries.account_of(who.id),
        "refusal": refusal,
        "typed": form.typed(request),
    }
    return render(request, "me_bank.html", told, status=refusal.status if refusal else 200)


def _once(request: HttpRequest, who: Caller) -> str:
    people.expect_fresh_factor(who)
    fields = request.POST.dict()
    return form.once(
        member=who.id, path=request.path, fields=fields, run=lambda: _do(fields, who.id)
    )


def _do(fields: dict[str, str], by: str) -> str:
    if fields.get("do") == "drop":
        outgoing.drop_account(member=by)
    else:
        outgoing.set_account(member=by, iban=fields.get("iban", ""), name=fields.get("name", ""))
    return "/me/bank"
