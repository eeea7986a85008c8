"""Two answers for whoever watches the process: it lives, and it is ready for visitors."""

from __future__ import annotations

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse


def alive(_request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; touches nothing else."""
    return JsonResponse({"status": "alive"})


def ready(_request: HttpRequest) -> HttpResponse:
    """200 when the database answers and, in the demo, its first start is done; else 503."""
    missing = [name for name, holds in (("database", _database()), ("demo", _demo())) if not holds]
    if missing:
        return JsonResponse({"status": "starting", "missing": missing}, status=503)
    return JsonResponse({"status": "ready"})


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _demo() -> bool:
    return not settings.DEMO or (settings.DATA / "demo.json").exists()
