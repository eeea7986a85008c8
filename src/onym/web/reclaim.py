"""The keep link: looking shows, one press keeps, no sign-in; and the holder's appeal."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from onym.core.errors import NotFound, Refusal
from onym.flows import appeal
from onym.flows import reclaim as flow
from onym.queries import reclaim as queries
from onym.web.page import page, show


@page
def keep(request: HttpRequest, token: str) -> HttpResponse:
    """GET changes nothing, so a mail scanner that opens the link keeps nothing."""
    refusal, appealed = None, False
    if request.method == "POST":
        try:
            appealed = _do(request, token)
        except NotFound:
            raise
        except Refusal as error:
            refusal = error
    view = queries.keep_page(token=token, language=get_language() or "en")
    return show(
        request,
        "keep.html",
        status=refusal.status if refusal else 200,
        keep=view,
        appealed=appealed,
        refusal=refusal,
        typed=request.POST.get("text", ""),
    )


def _do(request: HttpRequest, token: str) -> bool:
    if request.POST.get("do") == "appeal":
        appeal.open_by_link(token=token, text=request.POST.get("text", ""))
        return True
    flow.keep_by_link(token=token)
    return False
