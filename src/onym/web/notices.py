"""What was sent to me: by which channel, what became of it, and its words."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from onym.queries import brand, people
from onym.queries import notice as queries


def notices(request: HttpRequest) -> HttpResponse:
    """The latest first, each by its subject in the page's language."""
    who = people.signed_in(request)
    found = queries.mine(who.id, namespace=settings.NAMESPACE)
    told = {"tab": "notices", "notices": [(one, _subject(one)) for one in found]}
    return render(request, "me_notices.html", told)


def notice(request: HttpRequest, id: str) -> HttpResponse:
    """One of them in full. Whoever it was not sent to finds nothing."""
    who = people.signed_in(request)
    found = queries.one_of_mine(id, member=who.id, namespace=settings.NAMESPACE)
    text = render_to_string(f"mail/{found.kind}.txt", _facts(found)).strip()
    told = {"tab": "notices", "notice": found, "subject": _subject(found), "text": text}
    return render(request, "me_notice.html", told)


def _facts(one: queries.Told) -> dict[str, Any]:
    return {**one.facts, "base": settings.BASE_URL, "team": brand.team_name()}


def _subject(one: queries.Told) -> str:
    return " ".join(render_to_string(f"mail/{one.kind}.subject.txt", _facts(one)).split())
