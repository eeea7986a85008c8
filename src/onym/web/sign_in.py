"""Signing in, joining, the second factor, and confirming with it; docs/concepts/sign-in.md."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import get_language
from django.views.decorators.http import require_POST

from onym.core.errors import Malformed, NotFound
from onym.flows import factors, openid, sessions
from onym.flows import sign_in as flow
from onym.queries import demo, people
from onym.queries import factors as known
from onym.web import page


def sign_in(request: HttpRequest) -> HttpResponse:
    """By mail address and password; a wrong one says no more than that it is wrong."""
    wrong = False
    if request.method == "POST":
        mail, password = _text(request, "mail"), request.POST.get("password", "")
        to = flow.by_password(request, mail=mail, password=password, to=wanted(request))
        if to is not None:
            return HttpResponseRedirect(to)
        wrong = True
    return _sign_in(request, wrong=wrong)


def _sign_in(
    request: HttpRequest, *, wrong: bool = False, no_passkey: bool = False
) -> HttpResponse:
    told = {
        "wrong": wrong,
        "no_passkey": no_passkey,
        "next": _next(request),
        "typed": _text(request, "mail"),
        "people": demo.people(),
        "by_platform": openid.offered(),
        "refused": request.GET.get("refused") == "platform",
        "has_name": has_name(request),
    }
    return render(request, "sign_in.html", told, status=403 if wrong or no_passkey else 200)


def platform(request: HttpRequest) -> HttpResponse:
    """With the platform: leads there, with what shows that its answer belongs to this browser."""
    return HttpResponseRedirect(openid.begin(request, to=wanted(request)))


def platform_led(request: HttpRequest) -> HttpResponse:
    """The one address that the platform knows; it leads on in the language that one came from."""
    language = openid.language(request) or page.preferred(request)
    return HttpResponseRedirect(f"/{language}/sign-in/platform/back?{request.GET.urlencode()}")


def platform_back(request: HttpRequest) -> HttpResponse:
    """The platform's answer: signed in, linked, or back to the page with a no."""
    said = {name: request.GET.get(name, "")[:2_000] for name in ("state", "code", "iss")}
    if not said["code"]:
        return HttpResponseRedirect(openid.refused(request, state=said["state"]))
    to = openid.finish(request, state=said["state"], code=said["code"], issuer=said["iss"])
    return HttpResponseRedirect(to)


@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    """By passkey alone: the browser's answer to the challenge of `options`."""
    credential = request.POST.get("credential", "")
    to = flow.by_passkey(request, credential=credential, to=wanted(request))
    return HttpResponseRedirect(to) if to else _sign_in(request, no_passkey=True)


@require_POST
def options(request: HttpRequest) -> HttpResponse:
    """What the browser asks its passkeys: those of whoever is signing in or confirms, or any."""
    asking = {"factor": flow.pending, "confirm": flow.user}.get(request.POST.get("for", ""))
    user = asking(request) if asking else None
    return JsonResponse(factors.passkey_options(user))


@require_POST
def as_demo(request: HttpRequest) -> HttpResponse:
    """One click, in the demo only: 404 everywhere else."""
    chosen = request.POST.get("person", "")
    found = [one["member"] for one in demo.people() if one["role"] == chosen]
    if not found:
        raise NotFound("nobody of the demo")
    return HttpResponseRedirect(flow.as_demo(request, member=found[0], to=wanted(request)))


def code(request: HttpRequest) -> HttpResponse:
    """A code by mail: ordered for an address, then typed in. Says the same for every address."""
    wrong, unreadable = False, False
    if request.method == "POST" and "code" in request.POST:
        typed = request.POST.get("code", "")
        to = flow.by_mail_code(request, code=typed, to=wanted(request))
        if to is not None:
            return HttpResponseRedirect(to)
        wrong = True
    elif request.method == "POST":
        try:
            _order(request, joins=False)
            return HttpResponseRedirect(f"/{get_language()}/sign-in/code?{_query(request)}")
        except Malformed:
            unreadable = True
    told = {"wrong": wrong, "unreadable": unreadable, "next": _next(request)}
    told |= {"ordered": flow.CODE_IN_SESSION in request.session, "typed": _text(request, "mail")}
    status = 403 if wrong else 400 if unreadable else 200
    return render(request, "sign_in_code.html", told, status=status)


def join(request: HttpRequest) -> HttpResponse:
    """Become a member with a code by mail; a member's address leads to their sign-in instead."""
    unreadable = False
    if request.method == "POST":
        try:
            _order(request, joins=True)
            return HttpResponseRedirect(f"/{get_language()}/sign-in/code?{_query(request)}")
        except Malformed:
            unreadable = True
    told = {"unreadable": unreadable, "next": _next(request), "name": _text(request, "name")}
    told["typed"] = _text(request, "mail")
    return render(request, "join.html", told, status=400 if unreadable else 200)


def _order(request: HttpRequest, *, joins: bool) -> None:
    flow.order_code(
        request,
        mail=_text(request, "mail"),
        name=_text(request, "name"),
        language=get_language() or "en",
        joins=joins,
    )


def factor(request: HttpRequest) -> HttpResponse:
    """The second step of a sign-in: TOTP, a recovery code, or a passkey."""
    user, wrong = flow.pending(request), False
    if user is None:
        return HttpResponseRedirect(f"/{get_language()}/sign-in")
    if request.method == "POST":
        to = flow.by_factor(request, **_answer(request))
        if to is not None:
            return HttpResponseRedirect(to)
        wrong = True
    told = {"wrong": wrong, "has": known.factors(user.pk), "has_name": has_name(request)}
    return render(request, "factor.html", told, status=403 if wrong else 200)


def confirm(request: HttpRequest) -> HttpResponse:
    """The second factor again, and back to the form that asked for it."""
    who, wrong = people.signed_in(request), False
    user = flow.user(request)
    if not known.has_factor(user.pk):
        return HttpResponseRedirect(f"/{get_language()}/security?needed=1")
    if request.method == "POST":
        if request.POST.get("do") == "demo":
            return HttpResponseRedirect(flow.as_demo(request, member=who.id, to=wanted(request)))
        kind = factors.confirm(request, user=user, **_answer(request))
        if kind in known.STRONG:
            return HttpResponseRedirect(wanted(request))
        if kind:  # by a recovery code one may only set up what was lost
            return HttpResponseRedirect(f"/{get_language()}/security")
        wrong = True
    told = {"wrong": wrong, "has": known.factors(user.pk), "next": _next(request)}
    told |= {"has_name": has_name(request), "is_of_demo": who.id in _demo_members()}
    return render(request, "confirm.html", told, status=403 if wrong else 200)


def _demo_members() -> set[str]:
    return {one["member"] for one in demo.people()}


def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    if request.method == "POST":
        sessions.sign_out(request)
    return HttpResponseRedirect(f"/{get_language()}/")


# What the forms say


def has_name(request: HttpRequest) -> bool:
    """Passkeys belong to a name; browsers make none for a bare address such as 127.0.0.1."""
    host = request.get_host().rsplit(":", 1)[0]
    return not host.strip("[]").replace(".", "").replace(":", "").isdigit() and "[" not in host


def wanted(request: HttpRequest) -> str:
    """Where to go afterwards: the page that led here, never another site."""
    to = _next(request)
    safe = url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()})
    return to if to and safe else f"/{get_language()}/me"


def _next(request: HttpRequest) -> str:
    return request.POST.get("next", request.GET.get("next", ""))


def _query(request: HttpRequest) -> str:
    return urlencode({"next": wanted(request)})


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip()


def _answer(request: HttpRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "") for name in ("code", "credential")}
