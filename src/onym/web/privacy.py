"""What is kept about a member, for them to take along; and being forgotten."""

from __future__ import annotations

import json

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import Refusal
from onym.flows import erasure
from onym.queries import export, people


def data(request: HttpRequest) -> HttpResponse:
    """Everything about the member as a file, once the button asks for it and for a proof given just
    now; an address alone leads back to the button.
    """
    who = people.signed_in(request)
    if request.method != "POST":
        return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/me/settings")
    people.expect_proven(request, who)
    text = json.dumps(export.export(who.id), ensure_ascii=False, indent=2)
    answer = HttpResponse(text, content_type="application/json; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{who.id}.json"'
    answer["Cache-Control"] = "no-store"
    return answer


def leave(request: HttpRequest) -> HttpResponse:
    """What leaving means; the word typed and the button pressed do it, and end the session."""
    who = people.signed_in(request)
    if request.method != "POST":
        return render(request, "leave.html", {"member": who.id})
    people.expect_proven(request, who)
    if request.POST.get("typed", "").strip() != who.id:
        return render(request, "leave.html", {"member": who.id, "wrong": True}, status=422)
    try:
        erasure.erase(member=who.id)
    except Refusal as refusal:
        told = {"member": who.id, "refusal": refusal}
        return render(request, "leave.html", told, status=refusal.status)
    logout(request)
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/")
