"""Reading the platform's list by itself, every so many hours, as `onym import platform` does."""

from __future__ import annotations

import logging

from onym.core.errors import Refusal
from onym.flows import refresh
from onym.jobs.queue import task

log = logging.getLogger("onym.jobs")


@task("refresh.run")
def run(*, namespace: str) -> None:
    """Read what changed, if it is still due. Whatever is refused leaves the directory as it was,
    and is ordered again at the next look: the age of the directory tells of it.
    """
    if not refresh.is_due(namespace=namespace):
        return
    try:
        done = refresh.directory(namespace=namespace, folder=refresh.new_folder(namespace))
    except Refusal as refusal:
        log.warning("the platform was not read: %s: %s", refusal.code, refusal.detail)
        return
    log.info("the platform was read: %d rows told, since %s", done.told, done.since)
