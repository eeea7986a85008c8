"""The public log for people: what entered it, where a leaf stands, and how to check it oneself."""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import HandleMalformed
from onym.core.names import canon
from onym.queries import log as queries
from onym.queries import names

SHOWN = 30
LONGEST = 18


def log(request: HttpRequest) -> HttpResponse:
    """The latest leaves; `?leaf=` leads to one, `?type=` and `?handle=` narrow them."""
    asked = {key: request.GET.get(key, "").strip()[:300] for key in ("leaf", "type", "handle")}
    number = _number(asked["leaf"])
    if number is not None:
        return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/log/{number}")
    types = queries.types()
    found = queries.entries(
        type_=asked["type"] if asked["type"] in types else "",
        handle=_handle(asked["handle"]),
        before=_number(request.GET.get("before", "")),
        limit=SHOWN + 1,
    )
    told = {
        "head": queries.published(),
        "ended": queries.predecessor(),
        "types": types,
        "asked": asked,
        "entries": found[:SHOWN],
        "before": found[SHOWN - 1].leaf if len(found) > SHOWN else None,
        "address": f"{settings.BASE_URL}/log",
    }
    return render(request, "log.html", told)


def leaf(request: HttpRequest, leaf: int) -> HttpResponse:
    """One leaf, its proof, and what checks it in the browser. Refuses `not_found`."""
    found = queries.leaf(leaf)
    told = {
        "leaf": found,
        "pretty": json.dumps(found.told, ensure_ascii=False, indent=2),
        "handle": found.told["body"].get("handle", ""),
        "address": f"{settings.BASE_URL}/log",
    }
    return render(request, "leaf.html", told)


def _number(typed: str) -> int | None:
    plain = typed.isascii() and typed.isdigit() and len(typed) <= LONGEST
    return int(typed) if plain else None


def _handle(typed: str) -> str:
    """As entries spell it; what is no handle is looked for as it stands, and not found."""
    name = typed.lstrip("@")
    if not name:
        return ""
    try:
        return canon(name, names.namespace(settings.NAMESPACE).profile)
    except HandleMalformed:
        return name
