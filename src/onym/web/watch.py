"""Watching and no longer watching by a button, and the link that ends the letters about it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from onym.core.errors import Malformed
from onym.core.money import Money
from onym.flows import form
from onym.flows import watch as flow
from onym.queries import ground, people


@require_POST
def watches(request: HttpRequest) -> HttpResponse:
    """`do=watch` with `handle`, or `prefix`, `tier`, `max_price` in whole units; `do=unwatch` with
    `watch`. Leads back to `next`, by default to My market; a form sent twice acts once.
    """
    who, fields = people.signed_in(request), request.POST.dict()
    to = form.once(
        member=who.id,
        path=request.path,
        fields=fields,
        run=lambda: _do(request, fields, who.id),
    )
    return HttpResponseRedirect(to)


def _do(request: HttpRequest, fields: dict[str, str], by: str) -> str:
    place = settings.NAMESPACE
    match fields.get("do", ""), bool(fields.get("handle")):
        case "watch", True:
            flow.handle(namespace=place, handle=fields["handle"][:500], by=by)
        case "watch", False:
            flow.search(
                namespace=place,
                by=by,
                prefix=fields.get("prefix", ""),
                tier=fields.get("tier", ""),
                most=_price(request, fields.get("max_price", "")),
            )
        case "unwatch", _:
            flow.end(watch_id=fields.get("watch", ""), by=by)
        case _:
            raise Malformed("watch or unwatch")
    wanted = fields.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if wanted and safe else f"/{get_language()}/me"


def _price(request: HttpRequest, typed: str) -> Money | None:
    currency = ground.under(request).place.currency
    language = get_language() or "en"
    return form.amount(typed, currency=currency, language=language) if typed.strip() else None


@csrf_exempt
def silence(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058: GET shows, POST (the mail program's one click, too) ends letters about watches."""
    if request.method == "POST":
        flow.silence(token=token)
    else:
        flow.expect_token(token)
    return render(request, "alerts_end.html", {"done": request.method == "POST"})
