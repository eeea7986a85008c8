"""The breakers of this process: one an outside, their changes logged and shown by /ready."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from django.db import Error, close_old_connections
from django.db.transaction import get_connection

from onym.core.breaker import State
from onym.ports.breaker import Gate, Guarded, shut_mail, shut_payments, shut_platform
from onym.store import breaker, clock

log = logging.getLogger(__name__)
PROCESS = f"{socket.gethostname()}:{os.getpid()}"
SHUT = {"platform": shut_platform, "payments": shut_payments, "mail": shut_mail}
AT_HOME = {"payments": ("read_webhook",), "platform": (), "mail": ()}
gates: dict[str, Gate] = {}


def guard(kind: str, outside: Any) -> Any:
    """`outside`, which is a platform, payments or mail, behind a breaker of its own."""
    gates[kind] = Gate(kind, tell=tell)
    return Guarded(outside, gate=gates[kind], shut=SHUT[kind], at_home=AT_HOME[kind])


def states() -> dict[str, str]:
    """outside → closed, open or half_open, as this process finds it."""
    return {name: gate.state().value for name, gate in gates.items()}


def tell(name: str, state: State, seconds: float) -> None:
    """A breaker changed. What cannot be written down is in the log all the same."""
    log.warning("breaker of %s is %s for %.0f s", name, state.value, seconds)
    if get_connection().in_atomic_block:
        return  # whatever is being decided there must not fail over a note
    try:
        close_old_connections()
        breaker.write(
            outside=name,
            process=PROCESS,
            state=state.value,
            seconds=seconds,
            at=clock.machine(),
        )
    except Error as trouble:
        log.warning("the change is not in the database: %s", trouble)
