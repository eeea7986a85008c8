"""`onym witness`: a C2SP witness that anybody can run beside any log, on loopback by default."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

import click

from onym.tlog import checkpoint, witness

_SILENCE_SECONDS = 10


@click.command("witness")
@click.option(
    "--log",
    "logs",
    metavar="VKEY",
    multiple=True,
    required=True,
    help="Verifier key of a log to witness; may be given again, also for one log.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory for the witness's own key and the last checkpoint of each log.",
)
@click.option("--name", help="Name to sign under, at the first start only.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free one.")
def command(logs: tuple[str, ...], state: Path, name: str | None, host: str, port: int) -> None:
    """Cosign checkpoints of logs that only ever grow (POST /add-checkpoint).

    \b
    Example:
      onym witness --name witness.example/w1 --state state --log 'market.example/log+1a2b3c4d+Ac4z…'
    """
    trusted = _trusted(logs)
    try:
        signer = _signer(state, name)
        server = _server(host, port, trusted, state, signer)
    except (OSError, checkpoint.Unverified) as fault:
        raise click.ClickException(f"the witness cannot start: {fault}") from fault
    click.echo(f"key {signer.verifier}")
    click.echo(f"listening on http://{host}:{server.server_address[1]}/")
    _serve(server)


def _trusted(vkeys: tuple[str, ...]) -> dict[str, list[checkpoint.Verifier]]:
    trusted: dict[str, list[checkpoint.Verifier]] = defaultdict(list)
    for vkey in vkeys:
        try:
            key = checkpoint.Verifier.parse(vkey)
        except checkpoint.Unverified as fault:
            raise click.BadParameter(f"{vkey}: {fault}", param_hint="--log") from fault
        trusted[key.name].append(key)
    return dict(trusted)


def _signer(state: Path, name: str | None) -> checkpoint.Signer:
    """The witness's key, made at the first start and never changed after."""
    state.mkdir(parents=True, exist_ok=True)
    path = state / "signer"
    if path.exists():
        signer = checkpoint.Signer.parse(path.read_text(encoding="utf-8").strip())
        if name not in (None, signer.name):
            raise click.UsageError(f"this witness signs as {signer.name} already")
        return signer
    if name is None:
        raise click.UsageError("the first start needs --name")
    signer = checkpoint.Signer(name, os.urandom(32), checkpoint.COSIGNATURE)
    line = f"{signer.encode()}\n"
    number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return signer


def _server(
    host: str,
    port: int,
    trusted: dict[str, list[checkpoint.Verifier]],
    state: Path,
    signer: checkpoint.Signer,
) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SILENCE_SECONDS

        def do_POST(self) -> None:
            body = self._body()
            if body is None:
                return self._answer(witness.Answer(400, "a request has a Content-Length\n"))
            if self.path != "/add-checkpoint":
                return self._answer(witness.Answer(404, "there is only /add-checkpoint\n"))
            return self._answer(
                witness.add_checkpoint(
                    body, logs=trusted, state=state, signer=signer, seconds=int(time.time())
                )
            )

        def _body(self) -> bytes | None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > witness.MAX_BODY_BYTES:
                self.close_connection = True
                return None
            return self.rfile.read(int(length))

        def _answer(self, answer: witness.Answer) -> None:
            data = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Silent: what was asked is nobody's business."""

    return ThreadingHTTPServer((host, port), Handler)


def _serve(server: ThreadingHTTPServer) -> None:
    """Until SIGINT or SIGTERM."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.daemon_threads = True
    with server:
        server.serve_forever(poll_interval=0.2)
