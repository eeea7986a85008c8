"""Start the demo's payment provider on loopback: `python -m onym_demo.payments --help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from onym_demo.clock import Clock
from onym_demo.payments import app, timers, webhooks
from onym_demo.payments.provider import Options, Provider
from onym_demo.payments.state import State


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m onym_demo.payments", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="loopback port")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sqlite file")
    parser.add_argument(
        "--clock-file",
        type=Path,
        default=os.environ.get("ONYM_DEMO_CLOCK_FILE"),
        help="file with the demo clock's offset in seconds",
    )
    parser.add_argument(
        "--webhook-url",
        default=os.environ.get("ONYM_PAYMENTS_WEBHOOK_URL", ""),
        help="where events are posted; empty: nowhere",
    )
    parser.add_argument(
        "--webhook-secret",
        action="append",
        help="signing secret; repeat it to rotate (default: ONYM_PAYMENTS_WEBHOOK_SECRET)",
    )
    parser.add_argument(
        "--api-key",
        default=os.environ.get("ONYM_PAYMENTS_KEY", "sk_test_onym"),
        help="the one key that is accepted (default: ONYM_PAYMENTS_KEY)",
    )
    parser.add_argument(
        "--settle-seconds", type=float, default=3.0, help="how long 'processing' lasts"
    )
    parser.add_argument("--max-minor", type=int, default=999_999_999_999, help="largest charge")
    return parser.parse_args()


def make_provider(options: argparse.Namespace) -> Provider:
    secret = os.environ.get("ONYM_PAYMENTS_WEBHOOK_SECRET", "whsec_onym")
    return Provider(
        state=State(options.data),
        clock=Clock(Path(options.clock_file) if options.clock_file else None),
        options=Options(
            base=f"http://127.0.0.1:{options.port}",
            api_key=options.api_key,
            webhook_url=options.webhook_url,
            webhook_secrets=tuple(options.webhook_secret or secret.split(",")),
            settle_seconds=options.settle_seconds,
            max_minor=options.max_minor,
        ),
    )


async def serve(provider: Provider, port: int) -> None:
    """Serve until SIGTERM or SIGINT, with the timers and the webhooks beside it."""
    server = Server(
        app.make(provider),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_enabled=False,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tasks = [
        asyncio.create_task(work)
        for work in (server.serve(), timers.run(provider), webhooks.run(provider))
    ]
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it unannotated
    for task in [waiting, *tasks[1:]]:
        task.cancel()
    await asyncio.wait(tasks, timeout=3)
    for task in done - {waiting}:
        task.result()


def main() -> None:
    options = read_options()
    provider = make_provider(options)
    try:
        asyncio.run(serve(provider, options.port))
    finally:
        provider.state.close()


if __name__ == "__main__":
    main()
