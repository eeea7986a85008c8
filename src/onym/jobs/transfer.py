"""Asking the platform: the last look, the move, the read-back; and letting a handle go."""

from __future__ import annotations

from datetime import datetime

from onym import ports
from onym.core import term
from onym.core.errors import PlatformUnavailable
from onym.core.transfer import Look, State
from onym.flows import retained, transfer
from onym.flows import term as terms
from onym.jobs.queue import again, task
from onym.ports.account import address_digest
from onym.ports.platform import (
    Outcome,
    Platform,
)
from onym.queries import transfer as orders


@task("transfer.move")
def move(*, transfer_id: str, attempt: int = 0) -> None:
    """Look, move, read back. No fresh answer, no transfer: then it is tried again later."""
    order = orders.order(transfer_id)
    if order is None:
        return
    platform = ports.platform(order.namespace)
    try:
        over = _step(order, platform)
    except PlatformUnavailable:
        over = False
    if not over:
        again("transfer.move", lock=transfer_id, attempt=attempt, transfer_id=transfer_id)


def _step(order: orders.Order, platform: Platform) -> bool:
    if order.state == State.PENDING:
        verdict = _look(order, platform)
        if verdict is not Look.GO:
            return verdict is not Look.WAIT
        order = orders.read(order.id)  # it knows by now what the receiving account gives up
    if order.state in (State.PENDING, State.SENT, State.UNKNOWN):
        said = ask(order, platform)
        answered = State.DONE if said.done else State.REFUSED if said.refused else State.UNKNOWN
        transfer.record_move(transfer_id=order.id, state=answered, reason=said.code or "")
    if _read_back(order, platform):
        return True
    return _bar(order.id, platform) and _read_back(order, platform)


def ask(order: orders.Order, platform: Platform) -> Outcome:
    """The one write that the order is about: the handle moves, or its account is handed over."""
    if order.account is not None:
        return platform.hand_over(
            account_id=order.to,
            email=order.account.address,
            fence=order.fence,
            key=order.id,
            wipe=order.account.wipe,
            handle=order.handle,
        )
    return platform.move(
        handle=order.handle,
        source=order.source,
        to=order.to,
        placeholder=order.placeholder,
        expected_holder=order.expected_holder,
        fence=order.fence,
        key=order.id,
        retain=order.retain,
    )


def read(order: orders.Order, platform: Platform) -> str | None:
    """Who has what was ordered: the handle's holder, or the account once it is handed over."""
    if order.account is None:
        return platform.holder(handle=order.handle).account_id
    told = platform.handed_over(account_id=order.to)
    is_handed = term.is_handed(
        fence=order.fence,
        told_fence=told.fence,
        address=address_digest(order.account.address),
        told_address=told.address,
        is_over=order.account.is_over,
    )
    return order.to if is_handed else None


def _read_back(order: orders.Order, platform: Platform) -> bool:
    holder = read(order, platform)
    return transfer.record_read_back(transfer_id=order.id, holder=holder)


def _bar(transfer_id: str, platform: Platform) -> bool:
    """Raise the fence where that was ordered before a refund. True once the platform answered."""
    order = orders.order(transfer_id)
    if order is None or order.bar is None or order.bar.done is not None:
        return False
    bar, key = order.bar, f"{order.id}-bar-{order.bar.fence}"
    if order.account is not None:
        last = platform.handed_over(account_id=order.to).fence
        said = platform.hand_over(
            account_id=order.to, email=None, fence=bar.fence, key=key, last=last
        )
    else:
        said = platform.move(
            handle=order.handle,
            source=bar.holder,
            to=bar.holder,
            placeholder=None,
            expected_holder=bar.holder,
            fence=bar.fence,
            key=key,
        )
    if not said.unknown:
        transfer.record_bar(transfer_id=order.id, fence=bar.fence, done=said.done)
    return not said.unknown


def _look(order: orders.Order, platform: Platform) -> Look:
    holder = platform.holder(handle=order.handle).account_id
    buyer = platform.account(account_id=order.to)
    return transfer.look(
        transfer_id=order.id,
        holder=holder,
        last_seen=last_seen(platform, order.source),
        vacated=buyer["handle"] if buyer else None,
        retains=order.account is None and platform.capabilities().retain,
        unfit=terms.unfit(buyer or {}),
    )


def last_seen(platform: Platform, account_id: str | None) -> datetime | None:
    """The latest sign of activity that the platform knows of an account now."""
    account = platform.account(account_id=account_id) if account_id else None
    if account is None:
        return None
    signs = [account.get(sign) for sign in transfer.SIGNS]
    return max((sign for sign in signs if isinstance(sign, datetime)), default=None)


@task("transfer.retain")
def retain(*, transfer_id: str) -> None:
    """The platform keeps the mover's old handle since the move; write it down."""
    retained.keep(transfer_id=transfer_id)


@task("transfer.unreserve")
def unreserve(*, handle_id: int, key: str, attempt: int = 0) -> None:
    """Tell the platform that a retained handle is free again; `key` is this release's alone."""
    namespace, handle = orders.handle(handle_id)
    said = ports.platform(namespace).unreserve(handle=handle, key=key)
    if said.unknown:
        again("transfer.unreserve", lock=key, attempt=attempt, handle_id=handle_id, key=key)
