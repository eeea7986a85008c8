"""The two switches of the market, what each allows, and who turned them when."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import PHASES, Phase, Way
from onym.core.errors import Malformed
from onym.desk.page import Fields, address, answered, place_of, shown, staff
from onym.flows import desk as flow
from onym.flows import stop
from onym.queries import desk as queries
from onym.queries import ground, queue
from onym.queries.people import Caller


def switches(request: HttpRequest) -> HttpResponse:
    """Phase and release stop; a change of the phase is confirmed on the page."""
    staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    looked = ground.under(request)
    waiting = [case for case in queue.approvals(looked) if case["action"] == "lift_stop"]
    told = {
        "phases": [
            {"name": phase.value, "ways": [(way.value, way in PHASES[phase]) for way in Way]}
            for phase in Phase
        ],
        "ways": [way.value for way in Way],
        "wanted": _wanted(request),
        "waiting": waiting[0] if waiting else None,
        "turned": queries.turned(looked),
    }
    return shown(request, "desk/switches.html", told, refusal=refusal)


def _wanted(request: HttpRequest) -> str:
    """The phase that was chosen and waits to be confirmed."""
    wanted = request.GET.get("phase", "")
    return wanted if wanted in list(Phase) else ""


def _do(fields: Fields, who: Caller) -> str:
    place, did = settings.NAMESPACE, fields.get("do", "")
    match did:
        case "stop":
            stop.set_stop(namespace=place, on=True, by=who.id)
        case "lift":
            return place_of(stop.set_stop(namespace=place, on=False, by=who.id))
        case "phase":
            flow.set_phase(namespace=place, phase=fields.get("phase", ""), by=who.id)
        case _:
            raise Malformed("a switch is turned on or off, or a phase chosen")
    return address("switches", did=did)
