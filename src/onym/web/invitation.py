"""The page behind an invitation's link, and the one that ends all mail."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from onym.core.errors import NotFound, Refusal
from onym.flows import invitation as flow
from onym.queries import invitation as queries
from onym.web.page import act, page, show


@page
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Authentic, and committed before it was sent; looking changes nothing."""
    refusal = None
    if request.method == "POST":
        try:
            return _do(request, token)
        except NotFound:
            raise
        except Refusal as error:
            if error.status == 401:
                raise
            refusal = error
    view = queries.invitation(token)
    name, _ = queries.recipient_name(token)
    status = refusal.status if refusal else 200
    return show(
        request, "invitation.html", status=status, invitation=view, name=name, refusal=refusal
    )


def _do(request: HttpRequest, token: str) -> HttpResponse:
    if request.POST.get("do") == "accept":
        return act(request, lambda who: f"/sales/{flow.accept(token=token, by=who.id).id}")
    flow.decline(token=token)
    name, _ = queries.recipient_name(token)
    view = queries.invitation(token)
    return show(request, "invitation.html", invitation=view, name=name, refusal=None)


@csrf_exempt
@page
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058: GET shows, POST (the mail program's one click, too) ends all mail."""
    found = flow.by_token(token)
    if request.method == "POST":
        flow.suppress(
            namespace=found.campaign.namespace_id,
            address_index=found.recipient_index,
            reason="unsubscribed",
        )
    return show(request, "unsubscribe.html", done=request.method == "POST")
