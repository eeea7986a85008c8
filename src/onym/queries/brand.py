"""What the site is called and how the handle team signs: one place for pages, mails and feeds."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext, override

from onym.core.brand import PAGES, Brand


def brand() -> Brand:
    """The operator's brand, as read at start."""
    found: Brand = settings.BRAND
    return found


def site_name(language: str | None = None) -> str:
    """The site's name in a language; without one in that of the page."""
    spoken = language or get_language() or "en"
    with override(spoken):
        return brand().name(spoken) or gettext("Handle Marketplace")


def team_name(language: str | None = None) -> str:
    """The handle team's name in a language, as its mails are signed."""
    spoken = language or get_language() or "en"
    with override(spoken):
        return brand().team(spoken) or gettext("Handle Team")


def frame() -> dict[str, Any]:
    """What every page says of the brand; a sheet's address changes with its content."""
    found = brand()
    sheet = found.sheet()
    return {
        "name": site_name(),
        "team": team_name(),
        "logo": _logo_address(found),
        "sheet": f"/brand.css?{_mark(sheet.encode())}" if sheet else "",
        "legal": [page for page in PAGES if page in found.legal],
    }


def _logo_address(found: Brand) -> str:
    return f"/brand/logo?{_mark(found.logo.data)}" if found.logo else ""


def _mark(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
