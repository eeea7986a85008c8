"""The page behind an invitation's link, and the one that ends such mail."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from onym.core.errors import NotFound, Refusal
from onym.flows import form
from onym.flows import invitation as flow
from onym.queries import fees, ground, people
from onym.queries import invitation as queries


def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Authentic, and committed before it was sent; looking changes nothing."""
    refusal = None
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_do(request, token)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    return _invitation(request, token, refusal)


def _invitation(request: HttpRequest, token: str, refusal: Refusal | None) -> HttpResponse:
    place, who = ground.under(request), people.asking(request)
    view = queries.invitation(token, now=place.now)
    told: dict[str, Any] = {
        "invitation": view,
        "is_other": who is not None and not queries.is_for(token, member=who.id),
        "base": settings.BASE_URL,
        "refusal": refusal,
    }
    if view["state"] == "sent":
        told["sums"] = fees.sums(
            place,
            price=view["price"],
            kind="primary",
            buyer=who.id if who else None,
            displaces=view["displaces"],
        )
    return render(request, "invitation.html", told, status=refusal.status if refusal else 200)


def _do(request: HttpRequest, token: str) -> str:
    flow.by_token(token)
    if request.POST.get("do") == "accept":
        who = people.signed_in(request)
        return form.once(
            member=who.id,
            path=request.path,
            fields=request.POST.dict(),
            run=lambda: f"/sales/{flow.accept(token=token, by=who.id).id}",
        )
    if request.POST.get("do") == "decline":
        flow.decline(token=token)
    return f"/invitations/{token}"


@csrf_exempt
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058: GET shows, POST (the mail program's one click, too) ends private offers."""
    if request.method == "POST":
        flow.unsubscribe(token=token)
    told = {"done": request.method == "POST", "already": queries.is_silenced(token)}
    return render(request, "unsubscribe.html", told)
