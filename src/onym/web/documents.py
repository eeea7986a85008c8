"""Policies, fees and guidelines, as published; and what is announced to be freed."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.queries import desk, plan
from onym.web.page import page, show


@page
def policies(request: HttpRequest) -> HttpResponse:
    """Every version; the inactivity policy says whether names can be released at this time."""
    place = settings.NAMESPACE
    return show(
        request,
        "policies.html",
        policies=desk.documents(place, "policy"),
        guidelines=desk.documents(place, "guidelines"),
        countdown=plan.countdown(namespace=place),
    )


@page
def fees(request: HttpRequest) -> HttpResponse:
    """Every version of the fee schedule."""
    return show(request, "fees.html", fees=desk.documents(settings.NAMESPACE, "fees"))
