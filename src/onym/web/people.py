"""What a member is called: asked for before money moves where names are compared with a list."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from onym.core.errors import Refusal
from onym.flows import form, screening
from onym.flows import people as flow
from onym.queries import people


def name(request: HttpRequest) -> HttpResponse:
    """The name of now and a form for another; then back to the page that asked for it."""
    refusal = None
    who = people.signed_in(request)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(_once(request, who.id))
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    told = {
        "name": people.name(who.id),
        "typed": form.typed(request),
        "next": _next(request),
        "compared": screening.is_asked(who.namespace),
        "refusal": refusal,
    }
    return render(request, "me_name.html", told, status=refusal.status if refusal else 200)


def _once(request: HttpRequest, by: str) -> str:
    fields = request.POST.dict()

    def keep() -> str:
        flow.set_name(member=by, name=fields.get("name", ""))
        return _next(request)

    return form.once(member=by, path=request.path, fields=fields, run=keep)


def _next(request: HttpRequest) -> str:
    to = request.POST.get("next", request.GET.get("next", ""))
    safe = url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()})
    return to if to and safe else f"/{request.LANGUAGE_CODE}/me/settings"
