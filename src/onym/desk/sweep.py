"""Sweeps: ask for one, watch it, read what it found, and take it into use."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as said

from onym.core.access import Action
from onym.core.errors import Malformed
from onym.desk.page import Fields, address, answered, expect, place_of, shown, staff
from onym.flows import plan as plans
from onym.flows import sweep as flow
from onym.queries import ground
from onym.queries import sweep as queries
from onym.queries.ground import Ground
from onym.queries.people import Caller

STEPS = {
    "accounts": said("Accounts"),
    "findings": said("Findings"),
    "warned": said("Warned"),
    "rested": said("Due process over"),
    "released": said("Released"),
    "listed": said("Put on sale"),
    "sold": said("Sold"),
}


def sweeps(request: HttpRequest) -> HttpResponse:
    """Ask for a sweep; all sweeps, the running ones with how far they are."""
    staff(request)
    done, refusal = answered(request, _order)
    if done:
        return done
    looked = ground.under(request)
    found = queries.sweeps(looked)
    told = {
        "sweeps": found,
        "running": any(one["state"] == "running" for one in found),
        "policies": sorted(row.name for row in looked.policies),
        "imported_at": looked.imported_at,
        "today": looked.now.date().isoformat(),
    }
    return shown(request, "desk/sweeps.html", told, refusal=refusal)


def _order(fields: Fields, who: Caller) -> str:
    made = flow.order(
        namespace=settings.NAMESPACE,
        policy=fields.get("policy", ""),
        by=who.id,
        as_of=_as_of(fields.get("as_of", "")),
        dry_run=fields.get("dry_run") == "on",
        adopts=False,
    )
    return address(f"sweeps/{made['sweep']['id']}", did="ordered")


def _as_of(typed: str) -> datetime | None:
    """A day's beginning in UTC, None for today: now. Refuses `malformed`."""
    if not typed.strip():
        return None
    at = _day(typed)
    return None if at.date() == ground.of(settings.NAMESPACE).now.date() else at


def _day(typed: str) -> datetime:
    try:
        return datetime.combine(datetime.fromisoformat(typed.strip()).date(), time(), UTC)
    except ValueError:
        raise Malformed("write a day as 2026-12-31") from None


def sweep(request: HttpRequest, id: str) -> HttpResponse:
    """One sweep: how far it is, or its verdicts, reasons and funnel; taken into use from here."""
    staff(request)
    looked = ground.under(request)
    done, refusal = answered(request, lambda fields, who: _adopt(looked, fields, id, who))
    if done:
        return done
    found = queries.sweep(looked, id)
    told = {
        "sweep": found,
        "steps": [(gettext(STEPS[name]), count) for name, count in found["funnel"]],
        "stages": _proposed(looked, found["policy"]),
        "today": looked.now.date().isoformat(),
    }
    return shown(request, "desk/sweep.html", told, refusal=refusal)


def _proposed(looked: Ground, policy: str) -> list[dict[str, object]]:
    """The stages that the policy sets, with the days that the desk usually leaves between them."""
    percents = queries.stages(looked, policy)
    days = plans.STAGE_DAYS
    today = looked.now.date()
    return [
        {
            "percent": percent,
            "on": (today + timedelta(days=days[min(n, len(days) - 1)])).isoformat(),
        }
        for n, percent in enumerate(percents)
    ]


def _adopt(looked: Ground, fields: Fields, id_: str, who: Caller) -> str:
    expect(who, Action.SWEEP)
    stock = queries.stock_of(looked, id_)
    days = [_day(value) for name, value in sorted(fields.items()) if name.startswith("stage_")]
    if not days or days != sorted(days):
        raise Malformed("give every stage a day, none before the stage ahead of it")
    starts_at = max(days[0], looked.now)
    made = plans.adopt(
        namespace=settings.NAMESPACE,
        stock=Path(stock),
        by=who.id,
        starts_at=starts_at,
        stage_days=[(day.date() - starts_at.date()).days for day in days],
    )
    return place_of(made)
