"""Start the demo's mailbox on loopback: `python -m onym_demo.mailbox --help`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from onym_demo.clock import Clock
from onym_demo.mailbox import app, handover, smtp
from onym_demo.mailbox.state import State


def read_options() -> argparse.Namespace:
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m onym_demo.mailbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="loopback port of the web page")
    parser.add_argument("--smtp-port", type=int, required=True, help="loopback port for SMTP")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sqlite file")
    parser.add_argument(
        "--clock-file",
        type=Path,
        default=given("ONYM_DEMO_CLOCK_FILE"),
        help="file with the demo clock's offset in seconds",
    )
    parser.add_argument(
        "--inbound-url",
        default=given("ONYM_INBOUND_URL", ""),
        help="where mail for the market's own addresses is posted; empty: nowhere",
    )
    parser.add_argument(
        "--inbound-key",
        default=given("ONYM_INBOUND_SECRET", ""),
        help="the key that signs what is posted (default: ONYM_INBOUND_SECRET)",
    )
    parser.add_argument(
        "--own-address",
        action="append",
        help="an address of the market, or @domain for all of one; repeat it"
        " (default: ONYM_OWN_ADDRESSES, separated by commas)",
    )
    return parser.parse_args()


def market(options: argparse.Namespace) -> handover.Market:
    default = os.environ.get("ONYM_OWN_ADDRESSES", "press@onym.example,team@onym.example")
    own = options.own_address or [one.strip() for one in default.split(",") if one.strip()]
    return handover.Market(url=options.inbound_url, key=options.inbound_key, own=tuple(own))


async def serve(state: State, options: argparse.Namespace) -> None:
    """Serve pages, SMTP and handovers until SIGTERM or SIGINT."""
    known = market(options)
    clock = Clock(Path(options.clock_file) if options.clock_file else None)
    server = Server(
        app.make(state),
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_enabled=False,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    post = await smtp.listen(smtp.Handler(state, clock, known.own), options.smtp_port)
    tasks = [asyncio.create_task(server.serve()), asyncio.create_task(handover.run(state, known))]
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    post.close()
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it unannotated
    for task in [waiting, tasks[1]]:
        task.cancel()
    await asyncio.wait(tasks, timeout=3)
    for task in done - {waiting}:
        task.result()


def main() -> None:
    options = read_options()
    state = State(options.data)
    try:
        asyncio.run(serve(state, options))
    finally:
        state.close()


if __name__ == "__main__":
    main()
