"""My market → accounts: link by a code in the profile or by the platform, primary, unlink."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Malformed, Refusal
from onym.flows import form, openid
from onym.flows import link as flow
from onym.queries import ground, holding, people
from onym.queries import link as queries


def accounts(request: HttpRequest) -> HttpResponse:
    """What is linked and how, and the code that waits to be found in a profile."""
    who = people.signed_in(request)
    told: dict[str, Any] = {}
    if request.method == "POST":
        try:
            told = _do(request, who)
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            told = {"refusal": error}
        if not told:
            return HttpResponseRedirect(f"/{get_language()}/me/accounts")
    refusal = told.get("refusal")
    told |= _told(request, who)
    return render(request, "me_accounts.html", told, status=refusal.status if refusal else 200)


def _told(request: HttpRequest, who: people.Caller) -> dict[str, Any]:
    own = holding.holding(ground.under(request), accounts=who.accounts)
    handles = {one.account_id: one for one in own}
    return {
        "tab": "settings",
        "linked": [
            one | {"held": handles.get(one["account_id"])} for one in queries.accounts(who.id)
        ],
        "waiting": queries.waiting(who.id),
        "by_platform": openid.offered(),
        "refused": request.GET.get("refused") == "platform",
        "typed": form.typed(request),
    }


def _do(request: HttpRequest, who: people.Caller) -> dict[str, Any]:
    """What the page says afterwards; nothing: that it is done, as it shows anyway."""
    account = request.POST.get("account", "")
    match request.POST.get("do", ""):
        case "code":
            name = request.POST.get("handle", "")[:500]
            held = flow.look_up(namespace=settings.NAMESPACE, handle=name, by=who.id)
            flow.order_code(member=who.id, held=held)
        case "prove":
            return {} if flow.prove(member=who.id) else {"not_yet": True}
        case "primary":
            people.expect_proven(request, who)
            flow.make_primary(member=who.id, account_id=account)
        case "unlink":
            people.expect_proven(request, who)
            flow.unlink(member=who.id, account_id=account)
        case _:
            raise Malformed("link an account, make one primary, or unlink it")
    return {}


def by_platform(request: HttpRequest) -> HttpResponse:
    """Link the account that one is signed in with on the platform, or only that of a handle."""
    who = people.signed_in(request)
    back, handle = f"/{get_language()}/me/accounts", request.GET.get("handle", "")[:500]
    return HttpResponseRedirect(openid.begin(request, to=back, member=who.id, handle=handle))
