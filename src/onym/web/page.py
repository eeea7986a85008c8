"""What every page shares: its address's language, what stands around it, and how a "no" looks."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import is_valid_path
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as said

from onym.core.errors import DatabaseUnavailable, NotFound, NotSignedIn, Refusal
from onym.flows import form
from onym.queries import brand, checkout, desk, ground, health, people

log = logging.getLogger(__name__)
LOCAL_NAMES = {"en": "English", "fr": "Français", "ar": "العربية"}
PAGE = re.compile(r"/(en|fr|ar)(/.*)", re.DOTALL)
THEME_COOKIE = "theme"
THEMES = {"": said("As the device"), "light": said("Light"), "dark": said("Dark")}
A_YEAR_SECONDS = 31_536_000
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.2)
Answer = Callable[[HttpRequest], HttpResponse]


class Language:
    """The first part of a page's address."""

    regex = "en|fr|ar"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Pages:
    """Speaks the address's language; a refusal becomes a page, nobody is led to sign in."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with translation.override(_language(request)):
            request.LANGUAGE_CODE = translation.get_language()
            if "\0" in request.path_info:
                return trouble(request, NotFound.code, status=NotFound.status)
            if PAGE.fullmatch(request.path_info):
                for name in ("GET", "POST"):
                    setattr(request, name, _plain(getattr(request, name)))
            response = self.answer(request)
            if PAGE.fullmatch(request.path_info):
                response.headers.setdefault("Content-Language", translation.get_language() or "en")
            if (
                settings.SESSION_COOKIE_NAME in request.COOKIES
                or "Authorization" in request.headers
            ):
                response.headers.setdefault("Cache-Control", "private, no-store")
            return response

    def process_view(self, _: HttpRequest, __: Any, ___: Any, named: dict[str, Any]) -> None:
        """Views are told everything of their address but its language, which they speak."""
        named.pop("lang", None)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not PAGE.fullmatch(request.path_info):
            return None
        if isinstance(error, form.LEADS_ELSEWHERE):
            form.keep(request)
            step = "sign-in" if isinstance(error, NotSignedIn) else "confirm"
            back = quote(request.get_full_path())
            return HttpResponseRedirect(f"/{translation.get_language()}/{step}?next={back}")
        if isinstance(error, Refusal):
            return render(request, "refused.html", {"refusal": error}, status=error.status)
        if health.is_away(error):
            log.error("the database does not answer: %s", error)
            return trouble(request, DatabaseUnavailable.code, status=DatabaseUnavailable.status)
        return None


def _plain(fields: QueryDict) -> QueryDict:
    """The fields without the one character that no text has and no database takes."""
    if not any("\0" in value for values in fields.lists() for value in (values[0], *values[1])):
        return fields
    made = QueryDict(mutable=True)
    for name, values in fields.lists():
        made.setlist(name.replace("\0", ""), [value.replace("\0", "") for value in values])
    return made


def wait_while(waits: Callable[[], bool]) -> None:
    """Some four seconds at most, looking less and less often: each look is a question."""
    for pause in PAUSES:
        if not waits():
            return
        time.sleep(pause)


def context(request: HttpRequest) -> dict[str, Any]:
    """What all pages have: languages, switches, the caller, a name for the form."""
    return _frame(request) | {
        "site": desk.switches(ground.under(request)),
        "me": people.asking(request),
        "form_key": secrets.token_urlsafe(16),
        "mailbox": settings.MAILBOX_URL,
        "platform": settings.PLATFORM_URL,
    }


def _frame(request: HttpRequest) -> dict[str, Any]:
    """What even a page has that may not ask the database."""
    found = PAGE.fullmatch(request.path_info)
    rest = found[2] if found else "/"
    asked = request.META.get("QUERY_STRING", "")
    query = f"?{asked}" if asked and request.method == "GET" else ""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "lang": translation.get_language(),
        "rtl": translation.get_language_bidi(),
        "languages": [(code, LOCAL_NAMES[code], f"/{code}{rest}{query}") for code in LOCAL_NAMES],
        "base": settings.BASE_URL,
        "demo": settings.DEMO,
        "wallets": settings.WALLET,
        "here": rest.split("/")[1] if rest.count("/") else "",
        "theme": theme if theme in THEMES else "",
        "themes": [(code, gettext(name)) for code, name in THEMES.items()],
        "brand": brand.frame(),
    }


def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the wanted look in a cookie of this browser and goes back."""
    wanted, back = request.POST.get("theme", ""), request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    response = HttpResponseRedirect(back if back and safe else f"/{translation.get_language()}/")
    if request.method == "POST" and wanted in THEMES:
        response.set_cookie(THEME_COOKIE, wanted, max_age=A_YEAR_SECONDS, samesite="Lax")
    return response


def _language(request: HttpRequest) -> str:
    """The address's; without one, what the caller's program asks for."""
    found = PAGE.fullmatch(request.path_info)
    return found[1] if found else translation.get_language_from_request(request)[:2]


def preferred(request: HttpRequest) -> str:
    """The language to lead somebody to whose address names none: theirs, else their program's."""
    who = people.asking(request)
    if who and who.language in LOCAL_NAMES:
        return who.language
    return translation.get_language_from_request(request)[:2]


def led_to(request: HttpRequest, path: str) -> HttpResponseRedirect:
    """Lead to a page in the preferred language; another visitor may be led elsewhere."""
    answer = HttpResponseRedirect(f"/{preferred(request)}{path}")
    patch_vary_headers(answer, ["Accept-Language", "Cookie"])
    return answer


def may_lead_on(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The forms of this page may lead to the provider's page for cards, by its exact origin."""
    if not checkout.offered():
        return answer
    led = csp_update({"form-action": [settings.CHECKOUT_ORIGIN]})
    return cast(HttpResponse, led(lambda _: answer)(request))


def led_on(request: HttpRequest, url: str, *, otherwise: str) -> HttpResponseRedirect:
    """On to the provider's page, if the browser lets our form lead there; else to one of ours."""
    may = url.startswith(f"{settings.CHECKOUT_ORIGIN}/")
    return HttpResponseRedirect(url if may else f"/{request.LANGUAGE_CODE}{otherwise}")


def lost(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's
    """404: for an address that leads nowhere; a program is told in its own words."""
    if request.path_info.startswith("/api/"):
        body = f'{{"title": "{NotFound.title}", "status": 404, "code": "{NotFound.code}"}}'
        return HttpResponse(body, status=404, content_type="application/problem+json")
    return _meant(request) or trouble(request, NotFound.code, status=404)


def _meant(request: HttpRequest) -> HttpResponseRedirect | None:
    """To the page whose address was written without its language, or with a slash too many."""
    path, language = request.path_info.rstrip("/"), _language(request)
    meant = (path, f"{path}/", f"/{language}{path}", f"/{language}{path}/")
    found = next(filter(is_valid_path, (one for one in meant if one != request.path_info)), None)
    if found is None or request.method not in {"GET", "HEAD"}:
        return None
    query = request.META.get("QUERY_STRING", "")
    answer = HttpResponseRedirect(quote(found, safe="/@") + (f"?{query}" if query else ""))
    patch_vary_headers(answer, ["Accept-Language"])
    return answer


def broken(request: HttpRequest) -> HttpResponse:
    """500: a fault of ours; the page asks neither the database nor the session."""
    return trouble(request, "fault", status=500)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """403: a form without its token, sent from elsewhere or from a page left open too long."""
    return trouble(request, "form_lost", status=403)


def trouble(request: HttpRequest, what: str, *, status: int) -> HttpResponse:
    """A page that can be shown whatever else is broken."""
    with translation.override(_language(request)):
        text = render_to_string("trouble.html", _frame(request) | {"what": what})
        response = HttpResponse(text, status=status)
        response.headers["Content-Language"] = translation.get_language() or "en"
        return response
