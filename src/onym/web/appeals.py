"""My appeals: where each stands, and a form to object to a decision about a handle of mine."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import Refusal
from onym.core.handle import State
from onym.flows import appeal as flow
from onym.flows import form
from onym.queries import appeal as queries
from onym.queries import ground, holding, people

DECIDED = (State.WARNED, State.RESTING, State.RELEASED, State.RETIRED)


def appeals(request: HttpRequest) -> HttpResponse:
    """Nothing is released or sold while one is open; who decides had no part in it before."""
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, who)}")
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    mine = queries.mine(who.id, namespace=settings.NAMESPACE)
    told = {
        "tab": "appeals",
        "appeals": mine,
        "handles": _open_to(
            request, who, {one["handle"] for one in mine if one["state"] == "open"}
        ),
        "refusal": refusal,
        "typed": form.typed(request) or request.GET,
    }
    return render(request, "me_appeals.html", told, status=refusal.status if refusal else 200)


def _open_to(request: HttpRequest, who: people.Caller, under_way: set[str]) -> list[str]:
    """Handles that were decided about and that no appeal of mine is open for."""
    own = holding.holding(ground.under(request), accounts=who.accounts)
    found = [one.handle for one in own if one.state in DECIDED]
    found += queries.lost(who.id, namespace=settings.NAMESPACE)
    return [name for name in dict.fromkeys(found) if name not in under_way]


def _once(request: HttpRequest, who: people.Caller) -> str:
    fields = request.POST.dict()

    def run() -> str:
        name, text = fields.get("handle", ""), fields.get("text", "")
        flow.open_(namespace=settings.NAMESPACE, handle=name, by=who.id, text=text)
        return "/me/appeals"

    if fields.get("do") != "appeal":
        return "/me/appeals"
    return form.once(member=who.id, path=request.path, fields=fields, run=run)
