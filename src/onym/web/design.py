"""The living page of the design system, in the demo: every part once, as pages use it."""

from __future__ import annotations

from types import SimpleNamespace

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.web.steps import Step

TONES = ("good", "warn", "alarm", "info")
STATES = ("free", "held", "warned", "resting", "released", "reserved", "protected", "retired")
COLOURS = (
    "accent accent-soft paper card sunk ink muted line good warn alarm info rare priority".split()  # noqa: SIM905
)
TELLING = ("l1I|", "O0o", "rn m", "vv w", "5S 8B 2Z", "@handle", "@moon_base9")


def design(request: HttpRequest) -> HttpResponse:
    """Refuses `not_found` outside the demo."""
    if not settings.DEMO:
        raise NotFound("the living page belongs to the demo")
    steps = [
        Step("done", "Agreed", "Price and parties are fixed.", None),
        Step("now", "Paid", "The buyer pays; the money goes into escrow.", None),
        Step("", "Moved", "The platform moves the handle.", None),
    ]
    told = {
        "tones": TONES,
        "states": STATES,
        "tiers": ("standard", "priority", "rare"),
        "colours": COLOURS,
        "telling": TELLING,
        "steps": steps,
        "one": SimpleNamespace(
            handle="moon", tier={"name": "rare"}, price=Money(5_000_000, "USD"), opened_at=None
        ),
        "price": Money(5_000_000, "USD"),
    }
    return render(request, "design.html", told)
