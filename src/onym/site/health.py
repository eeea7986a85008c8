"""Two answers for whoever watches the process: it lives, and it is ready for visitors."""

from __future__ import annotations

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from onym.queries import health as queries
from onym.site import breakers
from onym.store import breaker, clock
from onym.tlog import integrator

ALIVE_SECONDS = 15.0  # a worker tells every two seconds that it lives
LATE_SECONDS = 60.0  # what the log promises of a receipt
UNKNOWN_SECONDS = 900.0


def alive(_request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; touches nothing else. `outside` is how this process
    finds the platform, the payment provider and the mail: closed, open or half_open breakers."""
    return JsonResponse({"status": "alive", "outside": breakers.states()})


def ready(_request: HttpRequest) -> HttpResponse:
    """200 when every part that decides is well; else 503. Each part with its figures.

    `failing` names the outsides that some process has stopped asking: pages are served all the
    same, and what waits for them goes on later.
    """
    parts = _parts()
    missing = [name for name, part in parts.items() if part["decides"] and not part["ok"]]
    told: dict[str, object] = {
        "status": "starting" if missing else "ready",
        "missing": missing,
        "parts": {name: _without(part, "decides") for name, part in parts.items()},
    }
    if parts["database"]["ok"]:
        told["failing"] = breaker.shut(at=clock.machine())
    return JsonResponse(told, status=503 if missing else 200)


def _parts() -> dict[str, dict[str, object]]:
    """Database, jobs, log and the demo's first start decide; the outside only tells."""
    demo = {"demo": _part(_demo(), decides=True)} if settings.DEMO else {}
    if not _database():
        return {"database": _part(False, decides=True)} | demo
    jobs, log, unknown = queries.jobs(), queries.log(), queries.unknown()
    seen = jobs.heartbeat_seconds
    return {
        "database": _part(True, decides=True),
        "jobs": _part(
            seen is not None and seen <= ALIVE_SECONDS,
            decides=True,
            heartbeat_seconds=None if seen is None else round(seen, 1),
            waiting=jobs.waiting,
            oldest_seconds=round(jobs.oldest_seconds, 1),
        ),
        "log": _part(
            log.oldest_seconds <= LATE_SECONDS,
            decides=True,
            leaves=log.leaves,
            waiting=log.waiting,
            oldest_seconds=round(log.oldest_seconds, 1),
            held=integrator.held(settings.DATA / "log") is not None,
        ),
        "outside": _part(not any(age > UNKNOWN_SECONDS for _, age in unknown.values()))
        | {name: count for name, (count, _) in unknown.items()},
    } | demo


def _part(ok: bool, *, decides: bool = False, **figures: object) -> dict[str, object]:
    return {"ok": ok, "decides": decides, **figures}


def _without(part: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in part.items() if key != name}


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _demo() -> bool:
    return not settings.DEMO or (settings.DATA / "demo.json").exists()
