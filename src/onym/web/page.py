"""What every page shares: language by address, who is signed in, and how a form is answered."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation

from onym.core.errors import NotFound, NotSignedIn, Refusal
from onym.flows import record
from onym.queries import desk, people
from onym.queries.people import Caller

LANGUAGES = ("en", "fr", "ar")
LOCAL_NAMES = {"en": "English", "fr": "Français", "ar": "العربية"}
View = Callable[..., HttpResponse]


class Language:
    """The first part of a page's address."""

    regex = "en|fr|ar"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


def page(view: View) -> View:
    """Speak the address's language; an unknown thing is a 404, nobody is led to sign in."""

    @functools.wraps(view)
    def speak(request: HttpRequest, lang: str, **kwargs: Any) -> HttpResponse:
        with translation.override(lang):
            request.LANGUAGE_CODE = lang
            try:
                answer = view(request, **kwargs)
            except NotSignedIn:
                return HttpResponseRedirect(f"/{lang}/sign-in?next={request.path}")
            except NotFound as refusal:
                answer = show(request, "refused.html", status=404, refusal=refusal)
            except Refusal as refusal:
                answer = show(request, "refused.html", status=refusal.status, refusal=refusal)
            answer["Content-Language"] = lang
            return answer

    return speak


def show(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """A page with what all pages have: switches, the caller, other languages, a form key."""
    lang = translation.get_language()
    rest = request.path.removeprefix(f"/{lang}")
    shared = {
        "lang": lang,
        "rtl": translation.get_language_bidi(),
        "languages": [(code, LOCAL_NAMES[code], f"/{code}{rest}") for code in LANGUAGES],
        "site": desk.switches(settings.NAMESPACE),
        "me": caller(request),
        "demo": settings.DEMO,
        "form_key": secrets.token_urlsafe(16),
        "mailbox": settings.MAILBOX_URL,
        "platform": settings.PLATFORM_URL,
    }
    return render(request, template, shared | context, status=status)


def caller(request: HttpRequest) -> Caller | None:
    """The member behind the session, if there is one."""
    user: Any = request.user
    return people.by_user(user.pk) if user.is_authenticated else None


def signed_in(request: HttpRequest) -> Caller:
    """The member behind the session. Refuses `not_signed_in`, which leads to the sign-in page."""
    found = caller(request)
    if found is None:
        raise NotSignedIn("sign in first")
    return found


def act(request: HttpRequest, run: Callable[[Caller], str]) -> HttpResponse:
    """Carry out a form once, however often it is sent, and go where `run` says."""
    who = signed_in(request)
    fields = {k: v for k, v in request.POST.items() if k != "csrfmiddlewaretoken"}
    key = fields.pop("key", "")
    if not key:
        raise Http404
    answer = record.once(
        member=who.id,
        route=f"PAGE {request.path}",
        key=key,
        payload=fields,
        run=lambda: record.Answer(303, {"to": run(who)}),
    )
    return HttpResponseRedirect(f"/{translation.get_language()}{answer.body['to']}")
