"""The operator's own: colours, logo and legal texts, served so that nothing of them can run."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import NotFound
from onym.queries import brand

KEPT = "public, max-age=86400"


class Block(NamedTuple):
    """A piece of a legal text: `kind` is heading, list or paragraph."""

    kind: str
    lines: tuple[str, ...]


def sheet(_: HttpRequest) -> HttpResponse:
    """The accent colours, as custom properties."""
    answer = HttpResponse(brand.brand().sheet(), content_type="text/css; charset=utf-8")
    answer["Cache-Control"] = KEPT
    return answer


def logo(_: HttpRequest) -> HttpResponse:
    """The picture; opened by itself it may neither run nor load anything."""
    found = brand.brand().logo
    if found is None:
        raise Http404("there is no logo")
    answer = HttpResponse(found.data, content_type=found.kind)
    answer["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    answer["Cache-Control"] = KEPT
    return answer


def legal(request: HttpRequest, page: str) -> HttpResponse:
    """A legal text in the page's language, else in the first that there is. Refuses `not_found`."""
    texts = brand.brand().legal.get(page)
    if not texts:
        raise NotFound("there is no such text")
    wanted = get_language() or "en"
    language = wanted if wanted in texts else next(iter(texts))
    told = {
        "legal": page,
        "blocks": blocks(texts[language]),
        "language": language,
        "rtl_text": language == "ar",
    }
    return render(request, "legal.html", told)


def blocks(text: str) -> list[Block]:
    """Headings (`# …`), lists (`- …`) and paragraphs; anything else is words, whatever it is."""
    found = []
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        while lines and lines[0].startswith("#"):
            found.append(Block("heading", (lines.pop(0).lstrip("# "),)))
        if lines and all(line.startswith(("- ", "* ")) for line in lines):
            found.append(Block("list", tuple(line[2:] for line in lines)))
        elif lines:
            found.append(Block("paragraph", tuple(lines)))
    return found
