"""Security → tokens for programs: what each may do, made and taken back; what moves money or
handles needs a fresh second factor, as it does on the pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Malformed, Refusal
from onym.flows import form, people
from onym.queries import people as queries
from onym.queries import token

SCOPES = ("read", "buy", "sell", "desk")
DAYS = (30, 90, 365)
BINDING = frozenset({"buy", "sell", "desk"})


def tokens(request: HttpRequest) -> HttpResponse:
    """What is out there; a new one is shown in this answer alone."""
    who = queries.signed_in(request)
    told: dict[str, Any] = {}
    if request.method == "POST":
        try:
            made = _do(request, who)
            if not made:
                return HttpResponseRedirect(f"/{get_language()}/security/tokens")
            told = {"made": made}
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            told = {"refusal": error}
    refusal = told.get("refusal")
    told |= {
        "tokens": token.tokens(who.id),
        "scopes": [one for one in SCOPES if one != "desk" or who.roles],
        "days": DAYS,
        "typed": form.typed(request),
    }
    answer = render(request, "tokens.html", told, status=refusal.status if refusal else 200)
    if "made" in told:
        answer["Cache-Control"] = "no-store"
    return answer


def _do(request: HttpRequest, who: queries.Caller) -> str:
    """The new token's text; nothing: one was taken back."""
    queries.expect_proven(request, who)
    match request.POST.get("do", ""):
        case "make":
            return _make(request, who)
        case "revoke":
            people.revoke_token(member=who.id, ref=request.POST.get("token", ""))
            return ""
    raise Malformed("make a token or take one back")


def _make(request: HttpRequest, who: queries.Caller) -> str:
    scopes = [one for one in SCOPES if request.POST.get(f"may_{one}")]
    if BINDING & set(scopes):
        queries.expect_fresh_factor(who)
    name = " ".join(request.POST.get("name", "").split())[:60]
    days = request.POST.get("days", "")
    if not name or days not in map(str, DAYS):
        raise Malformed("a token has a name and an end")
    return people.give_token(member=who.id, scopes=scopes, name=name, days=int(days))
