"""Tasks and how they come back: asking again after a growing while, on the machine's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

LONGEST_WAIT_SECONDS = 300
FAULTS = RetryStrategy(max_attempts=8, exponential_wait=4)


def task(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a job by the name it is deferred by; a fault is tried again eight times."""

    def register(job: Callable[..., None]) -> Callable[..., None]:
        def run(**arguments: Any) -> None:
            close_old_connections()
            try:
                job(**arguments)
            finally:
                close_old_connections()

        app.task(name=name, retry=FAULTS)(run)
        return job

    return register


def again(name: str, *, lock: str, attempt: int, **arguments: Any) -> None:
    """Ask again later: after 1, 2, 4 … 300 seconds."""
    wait = min(2**attempt, LONGEST_WAIT_SECONDS)
    job = app.configure_task(name=name, lock=lock, schedule_in={"seconds": wait})
    job.defer(attempt=attempt + 1, **arguments)
