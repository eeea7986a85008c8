"""My market → webhooks: subscribe an address, change its secret, end it, send again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Malformed, NotFound, Refusal
from onym.flows import form, limits
from onym.flows import webhook as flow
from onym.ports import webhooks as outside
from onym.queries import people
from onym.queries import webhook as queries

MOST = 100


def webhooks(request: HttpRequest) -> HttpResponse:
    """What is subscribed and what became of it; a new secret is shown this once."""
    who = people.signed_in(request)
    told: dict[str, Any] = {}
    if request.method == "POST":
        try:
            made = _once(request, who.id)
            if not made:
                return HttpResponseRedirect(f"/{get_language()}/me/webhooks")
            told = {"secret": queries.secret(made, member=who.id)}
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            told = {"refusal": error}
    return _shown(request, who, told)


def _shown(request: HttpRequest, who: people.Caller, told: dict[str, Any]) -> HttpResponse:
    found = queries.webhooks(who.namespace, member=who.id, after="", limit=MOST)["items"]
    refusal = told.get("refusal")
    told |= {
        "tab": "settings",
        "live": [one for one in found if one["state"] != "ended"],
        "ended": [one for one in found if one["state"] == "ended"],
        "dead": queries.dead(namespace=who.namespace, member=who.id),
        "typed": form.typed(request),
    }
    status = refusal.status if refusal else 200
    answer = render(request, "me_webhooks.html", told, status=status)
    if "secret" in told:
        answer["Cache-Control"] = "no-store"
    return answer


def _once(request: HttpRequest, by: str) -> str:
    """The id of a webhook that has a new secret to show; nothing if something else was done."""
    fields = request.POST.dict()
    if fields.get("do") == "subscribe":
        limits.spend("webhook_address", who=by)
        outside.target(fields.get("url", "").strip(), loopback=settings.DEMO)
    return form.once(member=by, path=request.path, fields=fields, run=lambda: _do(fields, by))


def _do(fields: dict[str, str], by: str) -> str:
    match fields.get("do", ""):
        case "subscribe":
            url = fields.get("url", "").strip()
            return flow.subscribe(namespace=settings.NAMESPACE, by=by, url=url).id
        case "rotate":
            return flow.rotate(webhook_id=fields.get("webhook", ""), by=by).id
        case "end":
            flow.end(webhook_id=fields.get("webhook", ""), by=by)
        case "send":
            flow.send_again(delivery_id=fields.get("delivery", ""), by=by)
        case _:
            raise Malformed("subscribe, change the secret, end or send again")
    return ""
