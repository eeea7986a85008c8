"""Bringing a handle back after an upheld dispute."""

from __future__ import annotations

from onym import ports
from onym.core.errors import PlatformUnavailable
from onym.core.transfer import State
from onym.flows import dispute
from onym.jobs.queue import again, task
from onym.jobs.transfer import ask, read
from onym.queries import transfer as orders


@task("dispute.take_back")
def take_back(*, transfer_id: str, attempt: int = 0) -> None:
    """Ask for the move back and read back who holds the handle; asked again until it is known."""
    if not dispute.asking(transfer_id=transfer_id):
        return
    order = orders.read(transfer_id)
    platform = ports.platform(order.namespace)
    said = ask(order, platform)
    state = State.DONE if said.done else State.REFUSED if said.refused else State.UNKNOWN
    try:
        holder = read(order, platform)
    except PlatformUnavailable:
        holder, state = None, State.UNKNOWN
    if not dispute.record_return(transfer_id=transfer_id, state=state, holder=holder):
        again("dispute.take_back", lock=transfer_id, attempt=attempt, transfer_id=transfer_id)
