"""Every request has an id, is counted and timed, and one line tells of it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from onym.core import trace
from onym.site import metrics

log = logging.getLogger("onym.access")


class Requests:
    """Outermost. Takes over a caller's id or makes one, and answers with it."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(trace.HEADER, "")
        id_ = given if trace.is_id(given) else secrets.token_hex(8)
        began = time.perf_counter()
        with trace.working_for(id_):
            response = self.answer(request)
            seconds = time.perf_counter() - began
            route = _route(request)
            metrics.requested(
                method=request.method or "",
                route=route,
                status=response.status_code,
                seconds=seconds,
            )
            told = {
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "ms": round(seconds * 1000, 1),
            }
            log.info("%(method)s %(route)s %(status)s %(ms)s ms", told, extra=told)
        response[trace.HEADER] = id_
        return response


def _route(request: HttpRequest) -> str:
    """The pattern that matched, never the address itself: it may hold a secret."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else "-"
