"""SMTP in: whoever is answered 250 after the letter finds it here again, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

from onym_demo.clock import Clock
from onym_demo.mailbox import faults, letters
from onym_demo.mailbox.state import State

LARGEST = 10_000_000


@dataclass(frozen=True)  # no slots: aiosmtpd looks at every member, and 3.11.2 trips over them
class Handler:
    """What the SMTP protocol asks us: is this recipient ours, and will we keep this letter?"""

    state: State
    clock: Clock
    own: tuple[str, ...]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        with self.state.transaction():
            refused = faults.at_recipient(
                self.state, sender=envelope.mail_from or "", recipient=address
            )
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        del session
        with self.state.transaction():
            fault = faults.take(self.state, faults.AT_LETTER, envelope.rcpt_tos[0])
        if answer := faults.AT_LETTER.get(fault.kind, ""):
            return answer
        if fault.kind == "crash_before":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind != "silent":
            self._keep(envelope)
        if fault.kind == "crash_after":
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(fault.seconds)
        if fault.kind in ("silent", "lost"):
            assert isinstance(server.transport, asyncio.WriteTransport)  # noqa: S101 - it is TCP
            server.transport.abort()
        return "250 OK"

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.content or b""
        with self.state.transaction():
            letters.keep(
                self.state,
                content if isinstance(content, bytes) else content.encode(),
                envelope_sender=envelope.mail_from or "",
                recipients=list(dict.fromkeys(envelope.rcpt_tos)),
                at=self.clock.market(),
                machine=time.time(),
                own=self.own,
            )


async def listen(handler: Handler, port: int) -> asyncio.Server:
    """Listen on loopback in the running event loop."""
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            handler,
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            decode_data=False,
            hostname="mailbox.example",
            ident="demo mailbox",
            timeout=60,
            loop=loop,
        )

    return await loop.create_server(protocol, "127.0.0.1", port)
