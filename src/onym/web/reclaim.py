"""The keep link: looking shows, one press keeps, no sign-in; and the holder's appeal."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import NotFound, Refusal
from onym.flows import appeal
from onym.flows import reclaim as flow
from onym.queries import reclaim as queries


def keep(request: HttpRequest, token: str) -> HttpResponse:
    """GET changes nothing, so a mail scanner that opens the link keeps nothing."""
    refusal = None
    if request.method == "POST":
        try:
            _do(request, token)
            return HttpResponseRedirect(request.path)
        except NotFound:
            raise
        except Refusal as error:
            refusal = error
    told = {
        "keep": queries.keep_page(token=token, language=get_language() or "en"),
        "refusal": refusal,
        "typed": request.POST.get("text", ""),
    }
    return render(request, "keep.html", told, status=refusal.status if refusal else 200)


def _do(request: HttpRequest, token: str) -> None:
    if request.POST.get("do") == "appeal":
        appeal.open_by_link(token=token, text=request.POST.get("text", ""))
    elif request.POST.get("do") == "keep":
        flow.keep_by_link(token=token)
