"""Measurements for Prometheus: counted in files that all processes of this host share, or read
from the database when they are asked for. docs/guides/observing.md names each.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
from collections.abc import Iterator

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse

from onym.site import embedded

FOLDER = embedded.data_directory() / "run" / "metrics" / socket.gethostname()
"""A host's own: files are named by process, and two hosts that share DATA may number them alike."""
FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)  # read when the next line is run

import prometheus_client as prometheus  # noqa: E402 - see above
from prometheus_client.core import GaugeMetricFamily  # noqa: E402 - see above
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402 - see above

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUESTS = prometheus.Counter(
    "onym_http_requests", "Requests answered", ("method", "route", "status")
)
SECONDS = prometheus.Histogram(
    "onym_http_seconds", "How long an answer took", ("route",), buckets=BUCKETS
)
CALLS = prometheus.Counter(
    "onym_outside_calls", "Calls to the outside world", ("outside", "verb", "outcome")
)
CALL_SECONDS = prometheus.Histogram(
    "onym_outside_seconds", "How long the outside took", ("outside", "verb"), buckets=BUCKETS
)


def requested(*, method: str, route: str, status: int, seconds: float) -> None:
    """One more request was answered."""
    REQUESTS.labels(method if method in ("GET", "POST", "DELETE") else "-", route, status).inc()
    SECONDS.labels(route).observe(seconds)


def called(*, outside: str, verb: str, outcome: str, seconds: float) -> None:
    """One more call to the outside has ended."""
    CALLS.labels(outside, verb, outcome).inc()
    CALL_SECONDS.labels(outside, verb).observe(seconds)


def page(request: HttpRequest) -> HttpResponse:
    """The measurements, for this machine or for whoever has the token; else 404."""
    _expect_allowed(request)
    registry = prometheus.CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
    registry.register(Rows())
    text = prometheus.generate_latest(registry)
    return HttpResponse(text, content_type=prometheus.CONTENT_TYPE_LATEST)


def _expect_allowed(request: HttpRequest) -> None:
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return
    forwarded = {"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} & set(request.headers)
    if token or forwarded or settings.SECURE_PROXY_SSL_HEADER or not _is_here(request):
        raise Http404


def _is_here(request: HttpRequest) -> bool:
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class Rows:
    """What the database says at the moment of asking: equal on every host."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Each family; without a database only that it is away."""
        from onym.queries import health

        yield from _family("onym_database_up", "Whether the database answers", (), {(): _is_up()})
        if not _is_up():
            return
        for name, (words, labels, values) in health.figures(settings.NAMESPACE).items():
            yield from _family(name, words, labels, values)


def _is_up() -> int:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except Error:
        return 0
    return 1


def _family(
    name: str, words: str, labels: tuple[str, ...], values: dict[tuple[str, ...], float]
) -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily(name, words, labels=labels)
    for labelled, value in values.items():
        family.add_metric(labelled, value)
    yield family
