"""Asking the provider for a seller's account, and how it stands."""

from __future__ import annotations

from onym import ports
from onym.core.errors import Malformed, PlatformUnavailable
from onym.flows import payout
from onym.jobs.queue import again, task
from onym.queries import payments as orders


@task("payout.connect")
def connect(*, member_id: str, key: str, attempt: int = 0) -> None:
    """Make an account, once under `key`."""
    order = orders.account_order(member_id)
    if order.account:
        return
    provider = ports.payments(order.namespace)
    try:
        made = provider.connect(key=key, mail=order.mail)
    except PlatformUnavailable:
        lock = f"{member_id}:payout"
        again("payout.connect", lock=lock, attempt=attempt, member_id=member_id, key=key)
        return
    payout.connected(member=member_id, provider=provider.name, account=made)


@task("payout.look")
def look(*, member_id: str, attempt: int = 0) -> None:
    """How the account stands now."""
    order = orders.account_order(member_id)
    if not order.account:
        return
    try:
        told = ports.payments(order.namespace).account(order.account)
    except Malformed:
        told = None
    except PlatformUnavailable:
        again("payout.look", lock=f"{member_id}:look", attempt=attempt, member_id=member_id)
        return
    payout.looked(member=member_id, account=order.account, told=told)


@task("payout.send_anew")
def send_anew(*, member_id: str) -> None:
    """What had been refused, now that the account may be paid."""
    payout.send_anew(member=member_id)
