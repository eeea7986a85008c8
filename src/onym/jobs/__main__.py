"""`python -m onym.jobs`: run jobs as they come, what the clock makes due, and the public log."""

from __future__ import annotations

import asyncio
import threading

import django


async def _work() -> None:
    from onym.jobs import worker

    async with worker.own().open_async() as running:
        await worker.run(running)


def main() -> None:
    """Set up Django and the outside world's adapters, then work."""
    django.setup()
    from onym.jobs import clock, log, retention, worker

    worker.load()
    stop = threading.Event()
    time_keeper = threading.Thread(target=clock.keep_time, args=(stop,), daemon=True)
    time_keeper.start()
    threading.Thread(target=retention.keep, args=(stop,), daemon=True).start()
    log_keepers = log.start(stop)
    try:
        asyncio.run(_work())
    finally:
        stop.set()
        for thread in (time_keeper, log_keepers[0]):
            thread.join(timeout=3)


if __name__ == "__main__":
    main()
