"""The worker: takes jobs off the queue, and gives back those of workers that died."""

from __future__ import annotations

import asyncio
import importlib

from procrastinate import App

CONCURRENCY = 4
HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 8.0
TASKS = (
    *("payments", "checkout", "deposit", "chargeback", "payout", "inbox", "reconcile", "webhook"),
    *("hook", "transfer", "dispute", "notice", "sign_in", "reclaim", "sweep", "refresh", "clock"),
)


def load() -> None:
    """Import every module that registers tasks."""
    for name in TASKS:
        importlib.import_module(f"onym.jobs.{name}")


def own() -> App:
    """The app with a connection for the worker alone. `replace_connector`, as Procrastinate's own
    command does it, would send what jobs order over that connection, too: outside the transaction
    of whatever orders it, to be run before that commits, or though it never does.
    """
    from procrastinate.contrib.django import app

    connector = app.connector.get_worker_connector()  # type: ignore[attr-defined]  # Django's has it
    found: App = app.with_connector(connector)
    return found


async def run(app: App) -> None:
    """Work until cancelled; jobs of a worker without a heartbeat are run again."""
    rescue = asyncio.create_task(_rescue(app))
    try:
        await app.run_worker_async(
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=1.0,
            shutdown_graceful_timeout=3.0,
            delete_jobs="successful",
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
        )
    finally:
        rescue.cancel()


async def _rescue(app: App) -> None:
    while True:
        stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS)
        for job in stalled:
            await app.job_manager.retry_job(job)
        await asyncio.sleep(HEARTBEAT_SECONDS)
