"""The pictures that a shared link shows: of the site, and of each handle in a language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_noop as said
from django.views.decorators.http import require_safe

from onym.core.errors import Refusal
from onym.core.money import Money
from onym.queries import brand, names
from onym.web import picture
from onym.web.picture import Card
from onym.web.templatetags.market import plain_money, word

ACCENT = "#0a6a4d"
FRESH_SECONDS = 300
STATES = {
    "free": said("free"),
    "held": said("held"),
    "warned": said("held, its holder was warned"),
    "resting": said("resting"),
    "released": said("released"),
    "reserved": said("reserved"),
    "protected": said("protected"),
    "prohibited": said("prohibited"),
    "retired": said("retired"),
}


@require_safe
def site(request: HttpRequest) -> HttpResponse:
    """The site's own picture."""
    with override(_language(request)):
        return _answer(request, _card("", gettext("The open market for handles")))


@require_safe
def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """State, tier and price of a handle, `@` before it or not; what is none is not found."""
    try:
        view = names.card(settings.NAMESPACE, handle.removeprefix("@"))
    except Refusal as refusal:
        return HttpResponse(refusal.title, status=404, content_type="text/plain")
    with override(_language(request)):
        return _answer(request, _card(view["display"], *lines(view)))


def lines(view: Mapping[str, Any]) -> list[str]:
    """What is said of a handle in the language that is spoken: its price first if it has one."""
    price: Money | None = (view["sale"] or {}).get("price")
    state = f"{gettext(STATES[view['state']])} · {word(view['tier']['name'])}"
    if price is None:
        return [state]
    on_sale = gettext("On sale for")
    return [f"{on_sale} \u2066{plain_money(price)}\u2069", state]


def _card(handle: str, *said: str) -> Card:
    known = handle if picture.can_draw(handle) else ""
    language = get_language() or "en"
    plain = [_drawable(line, language) for line in (brand.site_name(), *said)]
    return Card(
        site=plain[0],
        handle=known,
        lines=tuple(plain[1:]),
        language=language,
        accent=brand.brand().accents.get("light", ACCENT),
    )


def _drawable(line: str, language: str) -> str:
    """Without the narrow space that no face here has; isolates matter in Arabic alone."""
    line = line.replace("\u202f", "\u00a0")
    return line if language == "ar" else line.replace("\u2066", "").replace("\u2069", "")


def _language(request: HttpRequest) -> str:
    """That of `?lang=`; where Arabic cannot be shaped, English is better than broken letters."""
    asked = request.GET.get("lang", "en")
    known = asked if asked in dict(settings.LANGUAGES) else "en"
    return known if known != "ar" or picture.can_shape() else "en"


def _answer(request: HttpRequest, card: Card) -> HttpResponse:
    """Whoever has the picture already is told so before it is drawn."""
    tag = quote_etag(hashlib.sha256(repr(card).encode()).hexdigest()[:32])
    answer = get_conditional_response(request, etag=tag) or _drawn(card)
    answer["ETag"] = tag
    answer["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    return answer


def _drawn(card: Card) -> HttpResponse:
    return HttpResponse(picture.png(card), content_type="image/png")
