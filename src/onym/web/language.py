"""The language that a member reads: of their letters, and of addresses that name none."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.flows import people as flow
from onym.queries import people
from onym.web.page import LOCAL_NAMES


def choose(request: HttpRequest) -> HttpResponse:
    """Shows what is chosen; another choice is kept, and the page speaks it."""
    who = people.signed_in(request)
    if request.method == "POST":
        wanted = request.POST.get("language", "")
        flow.speak(member=who.id, language=wanted)
        return HttpResponseRedirect(f"/{wanted}/language")
    told = {"chosen": who.language, "names": LOCAL_NAMES.items()}
    return render(request, "language.html", told)
