"""Tasks and how they come back: asking again after a growing while, on the machine's clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from onym.core import trace

log = logging.getLogger("onym.jobs")
LONGEST_WAIT_SECONDS = 300
FAULTS = RetryStrategy(max_attempts=8, exponential_wait=4)


def task(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a job by the name it is deferred by; a fault is tried again eight times."""

    def register(job: Callable[..., None]) -> Callable[..., None]:
        def run(**arguments: Any) -> None:
            close_old_connections()
            with trace.working_for(arguments.pop(trace.ARGUMENT, "")):
                try:
                    _told(name, job, arguments)
                finally:
                    close_old_connections()

        app.task(name=name, retry=FAULTS)(run)
        return job

    return register


def _told(name: str, job: Callable[..., None], arguments: dict[str, Any]) -> None:
    """Run it, and tell in one line how long it took, or that it failed and why."""
    began = time.perf_counter()
    try:
        job(**arguments)
    except Exception as fault:
        log.error("%s failed: %s", name, type(fault).__name__, extra={"task": name})
        raise
    ms = round((time.perf_counter() - began) * 1000, 1)
    log.info("%s done", name, extra={"task": name, "ms": ms})


def again(name: str, *, lock: str, attempt: int, **arguments: Any) -> None:
    """Ask again later: after 1, 2, 4 … 300 seconds."""
    wait = min(2**attempt, LONGEST_WAIT_SECONDS)
    job = app.configure_task(name=name, lock=lock, schedule_in={"seconds": wait})
    job.defer(attempt=attempt + 1, **arguments, **trace.carried())
