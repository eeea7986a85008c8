"""How a member signs in: passkeys, authenticator app, recovery codes, password, sessions."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_POST

from onym.core.errors import Malformed, NotFound
from onym.flows import factors as flow
from onym.flows import sessions as flows
from onym.flows import sign_in
from onym.queries import factors, people
from onym.queries import sessions as queries
from onym.web.sign_in import has_name


def security(request: HttpRequest) -> HttpResponse:
    """What is set up, and its forms; each asks first for a proof given just now."""
    who = people.signed_in(request)
    if request.method != "POST":
        return _security(request, {})
    people.expect_proven(request, who)
    said = _do(request, who.id)
    if said is None:
        return HttpResponseRedirect(f"/{get_language()}/security")
    return _security(request, said)


def _security(request: HttpRequest, said: dict[str, Any]) -> HttpResponse:
    user = sign_in.user(request)
    told = {
        "has": factors.factors(user.pk),
        "has_password": user.has_usable_password(),
        "has_name": has_name(request),
        "needed": request.GET.get("needed") == "1",
    }
    return render(request, "security.html", told | said, status=400 if "wrong" in said else 200)


def _do(request: HttpRequest, by: str) -> dict[str, Any] | None:
    """What the page says afterwards; None: that it is done, as it shows anyway."""
    match request.POST.get("do", ""):
        case "remove":
            flow.remove(member=by, factor_id=_number(request, "factor"))
        case "codes":
            return {"codes": flow.new_recovery_codes(member=by)}
        case "passkey":
            name, answer = (request.POST.get(field, "") for field in ("name", "credential"))
            codes = flow.add_passkey(request, member=by, name=name, credential=answer)
            return {"wrong": "passkey"} if codes is None else {"codes": codes} if codes else None
        case "password":
            return _password(request)
    return None


def _password(request: HttpRequest) -> dict[str, Any]:
    try:
        new = request.POST.get("password", "")
        flows.change_password(request, user=sign_in.user(request), password=new)
    except Malformed as refusal:
        return {"wrong": "password", "why": refusal.detail}
    return {"changed": True}


def totp(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app: a secret as picture and text, then its first code."""
    who, wrong = people.signed_in(request), False
    people.expect_proven(request, who)
    if request.method == "POST":
        codes = flow.add_totp(request, member=who.id, code=request.POST.get("code", ""))
        if codes is not None:
            return _security(request, {"codes": codes, "added": True})
        wrong = True
    told = {"wrong": wrong, "secret": flow.totp_secret()}
    return render(request, "totp.html", told, status=403 if wrong else 200)


def picture(request: HttpRequest) -> HttpResponse:
    """The secret of the set-up under way as a QR code, for an <img> of that page alone."""
    who = people.signed_in(request)
    people.expect_proven(request, who)
    drawn = flow.totp_picture(user=sign_in.user(request))
    answer = HttpResponse(drawn, content_type="image/svg+xml")
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
def options(request: HttpRequest) -> HttpResponse:
    """What the browser makes a new passkey from."""
    who = people.signed_in(request)
    people.expect_proven(request, who)
    return JsonResponse(flow.passkey_creation(member=who.id))


def sessions(request: HttpRequest) -> HttpResponse:
    """Every browser one is signed in with; each can be ended from here."""
    people.signed_in(request)
    user = sign_in.user(request)
    if request.method == "POST":
        if request.POST.get("do") == "others":
            flows.end_others(request, user=user)
        else:
            flows.end(request, user=user, session_id=_number(request, "session"))
        return HttpResponseRedirect(f"/{get_language()}/sessions")
    told = {"sessions": queries.sessions(request, user_id=user.pk)}
    return render(request, "sessions.html", told)


def _number(request: HttpRequest, name: str) -> int:
    given = request.POST.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) < 18):
        raise NotFound("there is no such thing")
    return int(given)
