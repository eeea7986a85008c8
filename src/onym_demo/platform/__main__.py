"""`python -m onym_demo.platform`: the platform as a process of its own, on loopback only."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TextIO

from granian.constants import Interfaces
from granian.server.embed import Server

from onym_demo import sample
from onym_demo.platform import app, openid, seed, signed, state
from onym_demo.platform.clock import Clock
from onym_demo.platform.contract import Plaza
from onym_demo.platform.faults import Faults

_ADDRESS = "127.0.0.1"


OPENID = {
    "client-id": "the one site that people may sign in to with Plaza",
    "client-secret": "its secret; without one there is no such sign-in",
    "redirect-uri": "where it is led back to",
}


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m onym_demo.platform", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="directory of its own state")
    parser.add_argument(
        "--public-key", type=Path, required=True, help="PEM of the key that may write"
    )
    parser.add_argument("--key-id", default="onym", help="the key id that goes with it")
    parser.add_argument(
        "--clock-file",
        type=Path,
        default=os.environ.get("ONYM_DEMO_CLOCK_FILE"),
        help="file with the demo clock's offset in seconds",
    )
    parser.add_argument("--seed", type=int, default=sample.SEED, help="of the sample's accounts")
    parser.add_argument("--count", type=int, default=sample.COUNT, help="accounts in the sample")
    for name, meaning in OPENID.items():
        parser.add_argument(
            f"--{name}",
            default=os.environ.get(f"ONYM_OIDC_{name.upper().replace('-', '_')}", ""),
            help=meaning,
        )
    return parser


def main() -> None:
    asked = options().parse_args()
    _need_free(asked.port)
    asked.data.mkdir(parents=True, exist_ok=True)
    lock = _own(asked.data)
    try:
        key = signed.public_key(asked.public_key)
    except (OSError, ValueError) as fault:
        sys.exit(f"the public key cannot be read: {fault}")
    clock = Clock(Path(asked.clock_file) if asked.clock_file else None)
    file = asked.data / "platform.sqlite3"
    plaza = _open(file, clock, signed.Verifier({asked.key_id: key}), asked.seed, asked.count)
    if asked.client_secret:
        own = openid.signing_key(asked.data / "openid.pem")
        made = openid.Provider(asked.client_id, asked.client_secret, asked.redirect_uri, own)
        plaza = dataclasses.replace(plaza, openid=made)
    asyncio.run(_serve(plaza, asked.port))
    plaza.writer.stop()
    lock.close()


def _open(file: Path, clock: Clock, verifier: signed.Verifier, number: int, count: int) -> Plaza:
    """The state on disk, filled on the first day."""
    db = state.connect(file)
    db.executescript(state.SCHEMA)
    if seed.beginning(db) is None:
        seed.seed_sample(db, now=clock.now(), seed=number, count=count)
    beginning = seed.beginning(db)
    if beginning is None:
        sys.exit(f"{file} cannot be filled")
    reading = state.connect(file)
    return Plaza(
        db=reading,
        writer=state.Writer(db),
        clock=clock,
        verifier=verifier,
        faults=Faults(lambda: state.connect(file)),
        beginning=beginning,
    )


async def _serve(plaza: Plaza, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = Server(
        app.build(plaza),
        address=_ADDRESS,
        port=port,
        interface=Interfaces.ASGI,
        log_enabled=False,
        backlog=1024,
    )
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, server.stop)
    print(f"Plaza, the demo's platform: http://{_ADDRESS}:{port}", flush=True)
    await server.serve()


def _need_free(port: int) -> None:
    """The server would share a port without a word, so ask before."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as fault:
            sys.exit(f"port {port} cannot be used: {fault.strerror}")


def _own(data: Path) -> TextIO:
    """One process per state: two would each believe in a memory of their own."""
    lock = (data / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"another platform uses {data}")
    return lock


if __name__ == "__main__":
    main()
