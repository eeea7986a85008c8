"""Two answers for whoever watches the process: it lives, and it is ready for visitors."""

from __future__ import annotations

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from onym.site import breakers
from onym.store import breaker, clock


def alive(_request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; touches nothing else. `outside` is how this process
    finds the platform, the payment provider and the mail: closed, open or half_open breakers."""
    return JsonResponse({"status": "alive", "outside": breakers.states()})


def ready(_request: HttpRequest) -> HttpResponse:
    """200 when the database answers and, in the demo, its first start is done; else 503.

    `failing` names the outsides that some process has stopped asking: pages are served all the
    same, and what waits for them goes on later.
    """
    missing = [name for name, holds in (("database", _database()), ("demo", _demo())) if not holds]
    if missing:
        return JsonResponse({"status": "starting", "missing": missing}, status=503)
    return JsonResponse({"status": "ready", "failing": breaker.shut(at=clock.machine())})


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _demo() -> bool:
    return not settings.DEMO or (settings.DATA / "demo.json").exists()
