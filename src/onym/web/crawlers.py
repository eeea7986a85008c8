"""What programs ask a site for: robots, sitemap, security contact, icons, manifest,
and who the market is to its platform.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.translation import get_language_from_request, override
from django.views.decorators.http import require_safe

from onym.flows import openid
from onym.queries import brand, feeds
from onym.web.page import LOCAL_NAMES

PAGES = ("", "search", "policies", "fees", "guidelines", "log")
PRIVATE = ("desk/", "me", "offers", "invitations/", "keep/", "unsubscribe/", "sign-in")
"""`sales/` may be asked for: whoever is not signed in is led to `sign-in` and reads nothing."""
MOST = 10_000
DAY_SECONDS = 86_400
VALID_DAYS = 180
STATIC = Path(__file__).parent / "static" / "onym"
ICONS = {"favicon.ico": "image/x-icon", "apple-touch-icon.png": "image/png"}


@require_safe
def robots(_: HttpRequest) -> HttpResponse:
    """Public pages may be read, what belongs to one member may not."""
    barred = [f"Disallow: /{lang}/{path}" for lang in LOCAL_NAMES for path in PRIVATE]
    rows = [
        "User-agent: *",
        *barred,
        "Disallow: /api/",
        f"Sitemap: {settings.BASE_URL}/sitemap.xml",
    ]
    return _text("\n".join(rows))


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """Every open page and every listed handle, in each language, with the others beside it."""
    listed = feeds.listings(settings.NAMESPACE, limit=MOST)
    told = {
        "root": settings.BASE_URL,
        "languages": list(LOCAL_NAMES),
        "pages": PAGES,
        "listed": listed,
    }
    answer = render(request, "sitemap.xml", told, content_type="application/xml; charset=utf-8")
    answer["Cache-Control"] = "public, max-age=3600"
    return answer


@require_safe
def security(_: HttpRequest) -> HttpResponse:
    """RFC 9116: whom to tell about a weakness; it lapses half a year after it was read."""
    until = timezone.now().replace(hour=0, minute=0, second=0) + timedelta(days=VALID_DAYS)
    rows = [
        f"Contact: {settings.SECURITY_CONTACT}",
        f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(LOCAL_NAMES)}",
        f"Canonical: {settings.BASE_URL}/.well-known/security.txt",
    ]
    return _text("\n".join(rows))


@require_safe
def client(_: HttpRequest) -> JsonResponse:
    """Who the market is to a PDS that it signs in with; 404 where no PDS reads it."""
    told = openid.document()
    if told is None:
        raise Http404("no PDS reads it here")
    return JsonResponse(dict(told))


@require_safe
def change_password(request: HttpRequest) -> HttpResponse:
    """Where a password manager finds the page for a new password."""
    language = get_language_from_request(request)[:2]
    return HttpResponseRedirect(f"/{language}/sign-in?next=/{language}/me")


@require_safe
def icon(_: HttpRequest, name: str) -> FileResponse:
    """The icons that browsers ask for at the root, whatever a page says."""
    answer = FileResponse((STATIC / name).open("rb"), content_type=ICONS[name])
    answer["Cache-Control"] = f"public, max-age={DAY_SECONDS}"
    return answer


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """The site as an installed application, in the language of `?lang=`."""
    asked = request.GET.get("lang", "en")
    language = asked if asked in LOCAL_NAMES else "en"
    with override(language):
        name = brand.site_name()
    told = {
        "name": name,
        "short_name": name,
        "lang": language,
        "dir": "rtl" if language == "ar" else "ltr",
        "id": "/",
        "start_url": f"/{language}/",
        "display": "browser",
        "icons": [
            {"src": static("onym/icon.svg"), "sizes": "any", "type": "image/svg+xml"},
            {"src": static("onym/icon-512.png"), "sizes": "512x512", "type": "image/png"},
        ],
    }
    return JsonResponse(told, content_type="application/manifest+json")


def _text(words: str) -> HttpResponse:
    answer = HttpResponse(f"{words}\n", content_type="text/plain; charset=utf-8")
    answer["Cache-Control"] = f"public, max-age={DAY_SECONDS}"
    return answer
