"""What a page says of itself to whoever shares or finds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from onym.queries import brand
from onym.web import share
from onym.web.page import LOCAL_NAMES, PAGE

register = template.Library()


@register.inclusion_tag("share.html", takes_context=True)
def share_tags(context: Mapping[str, Any], title: str = "", text: str = "") -> dict[str, Any]:
    """Title, description, the site's picture, canonical address, languages, feeds and icons."""
    alt = brand.site_name()
    return _told(context, title=title or alt, text=text, picture="site", alt=alt)


@register.inclusion_tag("share.html", takes_context=True)
def share_handle(context: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a handle's page, with the handle's own picture; `view` is the API's object."""
    alt = f"@{view['display']}"
    text = " · ".join(share.lines(view))
    return _told(context, title=alt, text=text, picture=f"@{view['handle']}", alt=alt)


def _told(
    context: Mapping[str, Any], *, title: str, text: str, picture: str, alt: str
) -> dict[str, Any]:
    """Pages without an address of their own, which say what went wrong, say nothing here."""
    language = translation.get_language() or "en"
    request = context.get("request")
    found = PAGE.fullmatch(request.path_info) if request else None
    return {
        "rest": found[2] if found else "",
        "language": language,
        "site_name": brand.site_name(),
        "title": title,
        "text": text or gettext("The open market for handles"),
        "root": settings.BASE_URL,
        "picture": f"{settings.BASE_URL}/og/{picture}.png?lang={language}",
        "alt": alt,
        "languages": list(LOCAL_NAMES),
    }
