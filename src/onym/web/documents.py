"""Policies, fees and guidelines: each version in sentences, and what changed between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core import guidelines as rules
from onym.core import tax
from onym.core.errors import NotFound, Refusal
from onym.core.fees import Schedule, split
from onym.core.money import MINOR_DIGITS, Money
from onym.core.policies import reading
from onym.flows import form
from onym.queries import clock, desk, ground, names, plan
from onym.web import clauses
from onym.web.clauses import Clause

KINDS = {"policies": "policy", "fees": "fees", "guidelines": "guidelines"}
EXAMPLE_HUNDREDTHS = 1_234_567
Row = Mapping[str, Any]


def policies(request: HttpRequest) -> HttpResponse:
    """The policy in force in sentences, every version, and what is announced to be freed."""
    told = _told("policies") | {"countdown": plan.countdown(namespace=ground.under(request))}
    return render(request, "policies.html", told)


def fees(request: HttpRequest) -> HttpResponse:
    """The fees in force, every version, and an example to the cent at `?price=`."""
    told = _told("fees")
    refusal = None
    if told["current"]:
        schedule = Schedule.from_toml(told["current"]["text"], currency=told["currency"])
        try:
            told["example"] = _example(schedule, _price(request, schedule))
        except Refusal as error:
            refusal = error
    told |= {"typed": request.GET.get("price", "")[:40], "refusal": refusal, "taxes": _taxes()}
    return render(request, "fees.html", told, status=refusal.status if refusal else 200)


def _taxes() -> list[Clause]:
    """The rates in force; none where no table is."""
    rows = _standing(desk.documents(settings.NAMESPACE, "tax"), now=clock.now())
    begun = [row for row in rows if row["standing"] != "announced"]
    last = max(begun, key=lambda row: row["effective_from"], default=None)
    return clauses.tax_clauses(tax.parse(last["text"])) if last else []


def guidelines(request: HttpRequest) -> HttpResponse:
    """The guidelines in force as tables, and every version."""
    return render(request, "guidelines.html", _told("guidelines"))


def version(request: HttpRequest, kind: str, id: str, version: int) -> HttpResponse:
    """One version; `?against=` another of the same id shows what changed. Refuses `not_found`."""
    told = _told(kind)
    shown = _find(told["versions"], id, str(version))
    against = request.GET.get("against", "")
    told |= {"shown": shown, "clauses": _clauses(kind, shown, told["currency"])}
    if against:
        other = _find(told["versions"], id, against)
        before = _clauses(kind, other, told["currency"])
        told["against"] = other
        told["changes"] = clauses.compare(before, told["clauses"])
        told["lines"] = clauses.line_changes(other["text"], shown["text"])
    told["others"] = [
        one for one in told["versions"] if one["id"] == id and one["version"] != version
    ]
    return render(request, "document.html", told)


def _told(kind: str) -> dict[str, Any]:
    place = settings.NAMESPACE
    now, currency = clock.now(), names.namespace(place).currency
    versions = _standing(desk.documents(place, KINDS[kind]), now=now)
    current = next((one for one in versions if one["standing"] == "in_force"), None)
    said = _clauses(kind, current, currency) if current else []
    return {
        "kind": kind,
        "currency": currency,
        "versions": versions,
        "current": current,
        "clauses": said,
    }


def _standing(found: Sequence[Row], *, now: datetime) -> list[dict[str, Any]]:
    """Announced, in force (the latest to take effect of each id) or replaced."""
    told, begun = [], set()
    for one in found:
        standing = "announced" if one["effective_from"] > now else "replaced"
        if standing == "replaced" and one["id"] not in begun:
            standing = "in_force"
            begun.add(one["id"])
        told.append({**one, "standing": standing})
    return told


def _find(versions: Sequence[Row], id_: str, version: str) -> Row:
    for one in versions:
        if (one["id"], str(one["version"])) == (id_, version):
            return one
    raise NotFound("no such version is published here")


def _clauses(kind: str, row: Row, currency: str) -> list[Clause]:
    if kind == "policies":
        return clauses.policy_clauses(reading.read(row["text"], row["id"]))
    if kind == "fees":
        return clauses.fee_clauses(Schedule.from_toml(row["text"], currency=currency))
    return clauses.guideline_clauses(rules.parse(row["text"]), currency=currency)


def _price(request: HttpRequest, schedule: Schedule) -> Money:
    typed = request.GET.get("price", "").strip()
    if typed:
        language = get_language() or "en"
        return form.amount(typed[:40], currency=schedule.currency, language=language)
    minor = EXAMPLE_HUNDREDTHS * 10 ** MINOR_DIGITS[schedule.currency] // 100
    return Money(minor, schedule.currency)


def _example(schedule: Schedule, price: Money) -> dict[str, Any]:
    """The parts of a sale at `price`, and how each band adds to the commission, unrounded."""
    parts, lower, steps = split(price=price, schedule=schedule), 0, []
    digits = MINOR_DIGITS[schedule.currency]
    for band in schedule.bands:
        upper = price.minor if band.up_to_minor is None else min(price.minor, band.up_to_minor)
        if upper > lower:
            exact = Decimal((upper - lower) * band.ppm).scaleb(-6 - digits)
            steps.append(
                {
                    "part": Money(upper - lower, schedule.currency),
                    "rate": clauses.percent(Decimal(band.ppm) / 10_000),
                    "exact": clauses.number(exact.normalize()),
                }
            )
        lower = band.up_to_minor or lower
    return {"price": price, "steps": steps, "parts": parts}
