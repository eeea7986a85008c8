"""The two switches of the market, what each allows, and who turned them when."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import PHASES, Action, Phase, Way
from onym.core.area import Area
from onym.core.errors import Malformed, Refusal
from onym.desk.page import Fields, address, answered, expect, place_of, shown, staff
from onym.flows import area, stop, term
from onym.flows import desk as flow
from onym.queries import desk as queries
from onym.queries import ground, queue
from onym.queries.people import Caller


def switches(request: HttpRequest) -> HttpResponse:
    """Phase and release stop; a change of the phase is confirmed on the page."""
    can, refusal = _platform_can(request, staff(request))
    done = None
    if refusal is None:
        done, refusal = answered(request, partial(_do, platform_can=can))
    if done:
        return done
    looked = ground.under(request)
    cases = queue.approvals(looked)
    waiting = [case for case in cases if case["action"] == "lift_stop"]
    told = {
        "phases": [
            {"name": phase.value, "ways": [(way.value, way in PHASES[phase]) for way in Way]}
            for phase in Phase
        ],
        "ways": [way.value for way in Way],
        "wanted": _wanted(request),
        "waiting": waiting[0] if waiting else None,
        "areas": [_area(one, looked.stopped, cases) for one in Area],
        "turned": queries.turned(looked),
    }
    return shown(request, "desk/switches.html", told, refusal=refusal)


def _area(one: Area, stopped: tuple[str, ...], cases: list[queue.Case]) -> dict[str, object]:
    """An area, whether it stands still, and the proposal to let it go on."""
    asked = [c for c in cases if c["action"] == "lift_area" and c["wish"].get("area") == one.value]
    return {
        "name": one.value,
        "stopped": one.value in stopped,
        "waiting": asked[0] if asked else None,
    }


def _wanted(request: HttpRequest) -> str:
    """The phase that was chosen and waits to be confirmed."""
    wanted = request.GET.get("phase", "")
    return wanted if wanted in list(Phase) else ""


def _platform_can(request: HttpRequest, who: Caller) -> tuple[bool, Refusal | None]:
    """Whether the platform hands over whole accounts, asked before anything is written."""
    if request.POST.get("do") != "whole_accounts" or request.POST.get("on") != "1":
        return False, None
    try:
        expect(who, Action.SET_PHASE)
        return term.platform_can(settings.NAMESPACE), None
    except Refusal as refusal:
        return False, refusal


def _do(fields: Fields, who: Caller, *, platform_can: bool) -> str:
    place, did = settings.NAMESPACE, fields.get("do", "")
    match did:
        case "stop":
            stop.set_stop(namespace=place, on=True, by=who.id)
        case "lift":
            return place_of(stop.set_stop(namespace=place, on=False, by=who.id))
        case "phase":
            flow.set_phase(namespace=place, phase=fields.get("phase", ""), by=who.id)
        case "whole_accounts":
            on = fields.get("on") == "1"
            term.set_offered(namespace=place, on=on, by=who.id, platform_can=platform_can)
        case "stop_area":
            area.set_area(namespace=place, area=fields.get("area", ""), stopped=True, by=who.id)
        case "lift_area":
            name = fields.get("area", "")
            return place_of(area.set_area(namespace=place, area=name, stopped=False, by=who.id))
        case _:
            raise Malformed("a switch is turned on or off, or a phase chosen")
    return address("switches", did=did)
