"""Policies, fees and guidelines, as published; and what is announced to be freed."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.queries import desk, plan


def policies(request: HttpRequest) -> HttpResponse:
    """Every version; the inactivity policy says whether names can be released at this time."""
    place = settings.NAMESPACE
    told = {
        "policies": desk.documents(place, "policy"),
        "guidelines": desk.documents(place, "guidelines"),
        "countdown": plan.countdown(namespace=place),
    }
    return render(request, "policies.html", told)


def fees(request: HttpRequest) -> HttpResponse:
    """Every version of the fee schedule."""
    return render(request, "fees.html", {"fees": desk.documents(settings.NAMESPACE, "fees")})
