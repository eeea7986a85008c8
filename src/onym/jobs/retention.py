"""What has had its time is taken away once a day, by whichever jobs process comes first."""

from __future__ import annotations

import logging
import threading

from django.db import close_old_connections, connections

from onym.flows import retention

FIRST_SECONDS = 60.0
DAY_SECONDS = 86_400.0

log_ = logging.getLogger(__name__)


def keep(stop: threading.Event, *, first: float = FIRST_SECONDS, then: float = DAY_SECONDS) -> None:
    """A minute after the start, then daily, until `stop` is set; a fault waits for the next day."""
    pause = first
    while not stop.wait(pause):
        pause = then
        close_old_connections()
        try:
            log_.info("taken away: %s", retention.purge())
        except Exception:  # one row that cannot be read must not end it for good
            log_.exception("what has had its time could not be taken away")
        connections.close_all()
