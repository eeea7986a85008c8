"""The page behind an invitation's link, and the one that ends all mail."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from onym.core.errors import NotFound, Refusal
from onym.flows import form
from onym.flows import invitation as flow
from onym.queries import invitation as queries
from onym.queries import people


def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Authentic, and committed before it was sent; looking changes nothing."""
    name, _ = queries.recipient_name(token)
    refusal = None
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_do(request, token)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
    told = {"invitation": queries.invitation(token), "name": name, "refusal": refusal}
    status = refusal.status if refusal else 200
    return render(request, "invitation.html", told, status=status)


def _do(request: HttpRequest, token: str) -> str:
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
    """RFC 8058: GET shows, POST (the mail program's one click, too) ends all mail."""
    found = flow.by_token(token)
    if request.method == "POST":
        flow.suppress(
            namespace=found.campaign.namespace_id,
            address_index=found.recipient_index,
            reason="unsubscribed",
        )
    return render(request, "unsubscribe.html", {"done": request.method == "POST"})
